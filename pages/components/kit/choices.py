"""One visitor's choices by name, and what an address that arrives changes in them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from pages.components.kit.address import Address, Texts, Value, texts

__all__ = ["Choices"]

_ALWAYS = ("experiment", "layer", "detector", "prevalence")
"""In the URL also when they are the default, so that a pasted address names what it shows."""


@dataclass
class Choices:
    """What one visitor chose.

    Attributes
    ----------
    kept : last known value of each choice; `Texts` until something has read them.
    defaults : default of each choice when it was last drawn.
    page : title of the page that is open.
    shown : names that are in the address of each page, by its title.
    url : address that the browser has, or was sent last.
    forced : names whose next widget is given its value, whatever it holds.
    notes : notes that were not drawn yet.
    adopted : whether this run took its choices from the address.
    followed : whether a link of ours is followed, whose address is of this store or behind it.
    first : whether this run is the first at an address that a visitor came to, or of a link
        followed: nobody can have chosen anything yet.
    """

    kept: dict[str, Value | Texts] = field(default_factory=dict)
    defaults: dict[str, Value] = field(default_factory=dict)
    page: str = ""
    shown: dict[str, set[str]] = field(default_factory=dict)
    url: Address | None = None
    forced: set[str] = field(default_factory=set)
    notes: list[str] = field(default_factory=list)
    adopted: bool = False
    followed: bool = False
    first: bool = False

    def here(self) -> set[str]:
        """Names in the address of the page that is open."""
        return self.shown.setdefault(self.page, set())

    def arrive(self, page: str, url: Address, walked: bool) -> set[str]:
        """Start a run of `page` to which the browser sent `url`.

        The address is believed when a page is entered, the first one of a session too, and when
        the visitor `walked` to it by Back or Forward. In any other run it is the last one written
        or one before it, which an interaction carries that was under way: the store is newer.

        Returns the names whose widgets are to forget what they hold.
        """
        entered, followed = page != self.page, self.followed
        self.first, self.followed = not self.page or followed, False
        self.page, self.notes = page, []
        self.adopted = (entered or walked) and not followed and url != self.url
        self.url = url
        changed: set[str] = set()
        if walked:  # what it does not name is at its default
            changed |= self.here() - url.keys()
        for name in changed:
            self.kept.pop(name, None)
        for name, found in url.items() if self.adopted else ():
            if walked or name not in self.kept or texts(self.kept[name]) != found:
                self.kept[name] = Texts(found)
                changed.add(name)
        if entered:  # widgets of another page are other widgets: each gets its value again
            self.forced = set(self.kept)
            self.shown[page] = set()
        if entered or walked:
            # Names that nothing on this page has read yet stay in the URL until something does.
            self.shown[page] |= url.keys()
        return changed

    def completes(self, url: Address) -> bool:
        """Whether `url` says in full what the address says, so that it is no step of its own.

        It does in the first run, and where it only adds defaults, which are not left out because
        they are always named.
        """
        before = self.url or {}
        added = {name: found for name, found in url.items() if before.get(name) != found}
        return self.first or (
            before.keys() <= url.keys() - added.keys()
            and all(found == texts(self.defaults.get(name)) for name, found in added.items())
        )

    def params(self, names: Iterable[str]) -> Address:
        """Named choices as URL parameters, without those at their default."""
        url = {}
        for name in sorted(set(names) & self.kept.keys()):
            value = self.kept[name]
            if name in _ALWAYS or name not in self.defaults or value != self.defaults[name]:
                url[name] = texts(value)
        return {name: found for name, found in url.items() if found}
