"""Which weights of a checkpoint, and how they are told: `part` and `keys` of [classifier]."""

from __future__ import annotations

from pathlib import Path

from ood_core.errors import ConfigError
from ood_core.experiments.experiment import IN_ORDER
from ood_core.experiments.model_folders import folder_json, is_timm_folder, model_folder
from ood_core.experiments.network_formats import NETWORK_FORMATS
from ood_core.experiments.reading import Table

__all__ = ["parse_keys", "parse_part"]


def parse_keys(table: Table, architecture: str) -> str | None:
    """`keys`, where the checkpoint holds weights alone.

    Raises
    ------
    ConfigError
        For another value, and where there are no names that could be told by order.
    """
    keys = table.text("keys")
    if keys is None:
        return None
    if keys != IN_ORDER:
        raise table.error("keys", f'"{IN_ORDER}", which goes by order and shapes, not by names')
    if "checkpoint" not in table:
        raise ConfigError(f"{table.where}: keys = {keys!r} needs a checkpoint: leave keys out.")
    if architecture in NETWORK_FORMATS:
        raise _holds_all(table, f"keys = {keys!r} tells the weights of a checkpoint", "keys")
    return keys


def parse_part(table: Table, architecture: str, checkpoint: Path | None) -> str | None:
    """`part`, where a checkpoint can have several.

    Raises
    ------
    ConfigError
        Without a checkpoint, and for one that holds one network and all of it.
    """
    part = table.text("part")
    if part is None:
        return None
    what = f"part = {part!r} names weights in a checkpoint"
    if "checkpoint" not in table:
        other = next(key for key in ("weights", "random_weights") if key in table)
        raise ConfigError(
            f"{table.where}: {what}, but there is {other} = … in its place: leave part out."
        )
    if architecture in NETWORK_FORMATS and not _of_timm(checkpoint):
        raise _holds_all(table, what, "part")
    return part


def _holds_all(table: Table, what: str, key: str) -> ConfigError:
    name = table.values["checkpoint"]
    return ConfigError(
        f"{table.where}: {what}, but {name!r} holds the whole network: leave {key} out."
    )


def _of_timm(checkpoint: Path | None) -> bool:
    folder = model_folder(checkpoint) if checkpoint is not None else None
    return folder is not None and is_timm_folder(folder_json(folder / "config.json"))
