"""Each bad input gives its own message: in `new`, in commands on a file, and on the page.

The page draws what `wizard.check_draft` returns; `tests/wizard/test_page.py` holds that.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from ood_core import wizard
from ood_core.commands import _main as cli
from ood_core.errors import OODLensError
from ood_core.runtime.toml_text import toml_text
from ood_core.wizard import Draft, SetDraft
from ood_core.wizard.draft import tables

FITS = Callable[..., Path]


@pytest.fixture
def good(folders: Path, checkpoint: FITS) -> Draft:
    return wizard.complete(
        Draft(
            name="mine",
            checkpoint=str(checkpoint()),
            fit=SetDraft(str(folders / "photos/train"), "fit"),
            test=SetDraft(str(folders / "photos/test"), "test"),
            ood=(SetDraft(str(folders / "drawings"), "drawings"),),
        )
    )


def wrong_checkpoint(draft: Draft, tmp: Path, make: FITS) -> Draft:
    return dataclasses.replace(draft, checkpoint=str(make("resnet32", name="deep.pth")))


def wrong_class_count(draft: Draft, tmp: Path, make: FITS) -> Draft:
    return dataclasses.replace(draft, checkpoint=str(make(classes=7, name="seven.pth")))


def no_checkpoint_file(draft: Draft, tmp: Path, make: FITS) -> Draft:
    return dataclasses.replace(draft, checkpoint=str(tmp / "none.pth"))


def not_a_checkpoint(draft: Draft, tmp: Path, make: FITS) -> Draft:
    (tmp / "note.pth").write_text("no weights here")
    return dataclasses.replace(draft, checkpoint=str(tmp / "note.pth"))


def unknown_architecture(draft: Draft, tmp: Path, make: FITS) -> Draft:
    return dataclasses.replace(draft, architecture="resnet21")


def missing_folder(draft: Draft, tmp: Path, make: FITS) -> Draft:
    return dataclasses.replace(draft, test=SetDraft(str(tmp / "gone"), "test"))


def unreadable_list(draft: Draft, tmp: Path, make: FITS) -> Draft:
    (tmp / "test.txt").write_bytes(b"\xff\xfe\x00\x01 1\n")
    return dataclasses.replace(draft, test=SetDraft(str(tmp / "test.txt"), "test"))


def label_out_of_range(draft: Draft, tmp: Path, make: FITS) -> Draft:
    lines = [f"cat/{i:02d}.png {label}" for i, label in enumerate((0, 1, 9))]
    (tmp / "test.txt").write_text("\n".join(lines))
    root = draft.test.source
    return dataclasses.replace(
        draft, test=SetDraft(str(tmp / "test.txt"), "test", options={"root": root})
    )


def no_images(draft: Draft, tmp: Path, make: FITS) -> Draft:
    (tmp / "empty").mkdir()
    return dataclasses.replace(draft, ood=(SetDraft(str(tmp / "empty"), "empty"),))


def one_class(draft: Draft, tmp: Path, make: FITS) -> Draft:
    only = tmp / "only"
    only.mkdir()
    (only / "cat").symlink_to(Path(draft.fit.source) / "cat")
    return dataclasses.replace(draft, fit=SetDraft(str(only), "fit"))


CASES = {
    wrong_checkpoint: (
        "classifier",
        r"deep.pth does not fit 'resnet20', nothing was loaded: .*60 unexpected \(layer1.3.*"
        r"Architecture 'resnet32' fits completely",
    ),
    wrong_class_count: ("classifier", "The checkpoint has 7 classes: set num_classes to that"),
    no_checkpoint_file: ("classifier", "checkpoint = '.*none.pth' does not exist"),
    not_a_checkpoint: ("classifier", "note.pth is a text file that begins with 'no weights here'"),
    unknown_architecture: (
        "classifier",
        "unknown architecture 'resnet21'. Did you mean 'resnet",
    ),
    missing_folder: ("test", "folder = '.*gone' does not exist. Looked at"),
    unreadable_list: ("test", r"test.txt' is not text in UTF-8, .*, so it is no list of images"),
    label_out_of_range: ("test", r"label 9 of cat/02.png is out of range .* Allowed: 0 to 2"),
    no_images: ("empty", "folder = '.*empty' holds no images"),
    one_class: ("fit", r"holds images of one class only \(cat\); a fit set needs several"),
}


@pytest.mark.parametrize("spoil", CASES, ids=lambda f: f.__name__)
def test_page_and_new_say_what_is_wrong(spoil, good, tmp_path, checkpoint, capsys):
    part, message = CASES[spoil]
    bad = spoil(good, tmp_path, checkpoint)
    wrong = [line for line in wizard.check_draft(bad) if line.ok is False]
    assert [line.part for line in wrong] == [part], "one mistake, one red line"
    assert re.search(message, wrong[0].text), wrong[0].text
    status, out, err = new(bad, capsys)
    assert status == 1
    assert "Traceback" not in err
    (said,) = [line for line in out.splitlines() if line.startswith("FAILS")]
    assert wrong[0].text in said
    assert "written:" not in err


@pytest.mark.parametrize("spoil", CASES, ids=lambda f: f.__name__)
def test_commands_on_a_file_say_what_is_wrong(spoil, good, tmp_path, checkpoint, capsys):
    _, message = CASES[spoil]
    bad = spoil(good, tmp_path, checkpoint)
    file = tmp_path / "mine.toml"
    file.write_text(as_file(bad))
    status = cli.main(["extract", str(file), "--quiet"])
    _, err = capsys.readouterr()
    assert status in (1, 2)
    assert re.search(message, err), err
    assert len(err.splitlines()) == 1, "one line, no traceback"


def test_the_fix_of_a_wrong_checkpoint_is_one_change(good, tmp_path, checkpoint):
    bad = wrong_checkpoint(good, tmp_path, checkpoint)
    (line,) = [line for line in wizard.check_draft(bad) if line.ok is False]
    assert [fix.label for fix in line.fixes] == ["Use resnet32, which fits completely"]
    assert all(line.ok for line in wizard.check_draft(wizard.complete(line.fixes[0].draft)))


def test_the_fix_of_a_wrong_class_count_is_one_change(good, tmp_path, checkpoint):
    bad = wrong_class_count(good, tmp_path, checkpoint)
    (line,) = [line for line in wizard.check_draft(bad) if line.ok is False]
    assert [fix.draft.num_classes for fix in line.fixes] == [7]


def test_a_head_without_bias_works_and_is_named(good, tmp_path, checkpoint, capsys):
    import torch

    state = torch.load(good.checkpoint, weights_only=True)["state_dict"]
    (head,) = [k for k in state if k.endswith(".bias") and state[k].shape == (3,)]
    bare = {k: v for k, v in state.items() if k != head}
    torch.save(bare, tmp_path / "bare.pth")
    draft = dataclasses.replace(good, checkpoint=str(tmp_path / "bare.pth"))
    lines = wizard.check_draft(draft)
    assert all(line.ok for line in lines), lines
    assert "no bias in the head" in lines[0].text
    status, out, _ = new(draft, capsys, check=6)
    assert status == 0
    assert "ok      The head explains the logits" in out


def new(draft: Draft, capsys, check: int = 0) -> tuple[int, str, str]:
    p = draft.preprocessing
    argv = ["new", draft.name, "--architecture", draft.architecture]
    argv += ["--checkpoint", draft.checkpoint, "--num-classes", str(draft.num_classes)]
    argv += ["--resize", str(p.resize), "--fit", draft.fit.source, "--test", draft.test.source]
    argv += [f"--ood={s.name}={s.source}" for s in draft.ood]
    if "root" in draft.test.options:
        argv += ["--test-root", draft.test.options["root"]]
    status = cli.main([*argv, f"--check={check}", "--quiet"])
    return (status, *capsys.readouterr())


def as_file(draft: Draft) -> str:
    """The experiment file that a user could have written by hand."""
    values = tables(draft)
    return toml_text({k: values[k] for k in ("name", "classifier", "preprocessing", "id", "ood")})


def test_the_name_is_no_part_of_the_checks_and_messages_name_no_file(good, tmp_path, checkpoint):
    bad = dataclasses.replace(no_checkpoint_file(good, tmp_path, checkpoint), name="a!")
    (line,) = [line for line in wizard.check_draft(bad) if line.ok is False]
    assert line.text.startswith("[classifier]: checkpoint = "), line.text
    assert all(line.ok for line in wizard.check_draft(dataclasses.replace(good, name="a!")))


@pytest.mark.parametrize("path", ["a\0b.pt", "a" * 5000, "a\nb.pt"])
def test_what_is_no_path_is_a_line_and_no_traceback(path: str) -> None:
    for kind in ("network", "hub", "encoder", "features"):
        draft = wizard.with_kind(Draft(name="x"), kind)
        draft = dataclasses.replace(
            draft, checkpoint=path if kind != "features" else "", head=path, fit=SetDraft(path),
            test=SetDraft(path), ood=(SetDraft(path, "o"),),
        )  # fmt: skip
        with contextlib.suppress(OODLensError):
            draft = wizard.complete(draft)
        lines = wizard.check_draft(draft)
        assert [line.ok for line in lines] == [False] * 4


def test_features_among_images_and_the_other_way_round_say_so(folders: Path) -> None:
    import numpy as np

    np.savez(folders / "fit.npz", features=np.eye(4))
    draft = Draft(name="x", fit=SetDraft(str(folders / "fit.npz")))
    line = next(line for line in wizard.check_draft(draft) if line.part == "fit")
    assert "Features I already have" in line.text
    draft = Draft(name="x", kind="features", test=SetDraft(str(folders / "photos/test")))
    line = next(line for line in wizard.check_draft(draft) if line.part == "test")
    assert line.text.startswith("[id] test: features = ")


def test_what_is_no_folder_from_a_hub_says_what_is_one(folders: Path, checkpoint) -> None:
    for path in ("org/model", str(folders / "drawings")):
        (line, *_) = wizard.check_draft(Draft(name="x", kind="hub", checkpoint=path))
        assert "a config.json and the weights" in line.text
    done = wizard.complete(Draft(name="x", kind="hub", checkpoint=str(checkpoint())))
    assert (done.kind, done.architecture) == ("network", "resnet20")


def test_a_head_of_another_size_is_named_as_what_does_not_fit(folders: Path) -> None:
    import numpy as np

    np.savez(folders / "t.npz", embeddings=np.eye(3, 32) + 0.1)
    draft = Draft(kind="encoder", architecture="resnet20", random_weights=0, num_classes=0)
    draft = wizard.complete(wizard.with_head(draft, text=str(folders / "t.npz")))
    line = next(line for line in wizard.check_draft(dataclasses.replace(draft, name="x")))
    assert line.text.startswith("the network gives 64 features and the text embeddings have 32")
