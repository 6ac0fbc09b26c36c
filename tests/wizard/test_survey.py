"""What a folder is taken for: layouts that people have."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ood_core.data import open_dataset
from ood_core.wizard import Draft, SetDraft, Survey, survey
from ood_core.wizard.checkpoint_files import rank_checkpoints
from ood_core.wizard.partial_drafts import only_set


def lay(root: Path, *files: str) -> Path:
    """Write files: images as noise, others with the text after `=`, or a checkpoint's start."""
    for number, entry in enumerate(files):
        name, _, text = entry.partition("=")
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.suffix in (".png", ".jpg"):
            pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)
        elif text:
            path.write_text(text.replace("|", "\n"))
        else:
            path.write_bytes(b"PK\x03\x04")
    return root


def short(source: str, root: Path) -> str:
    return str(Path(source).relative_to(root)) if source else ""


def taken(found: Survey, root: Path) -> tuple[str, str, list[str]]:
    """Fit, test and OOD sets as paths below the root."""
    fit, test = found.pairs[0] if found.pairs else (SetDraft(), SetDraft())
    return short(fit.source, root), short(test.source, root), [
        short(s.source, root) for s in found.others
    ]  # fmt: skip


LAYOUTS = {
    "train, val and test": (
        ["train/cat/a.png", "train/dog/a.png", "val/cat/b.png", "val/dog/b.png", "test/cat/c.png",
         "test/dog/c.png", "far/d.png"],
        ("train", "test", ["far"]), ["val"],
    ),
    "train and val": (
        ["d/train/cat/a.png", "d/val/cat/b.png", "d/train/dog/a.png", "d/val/dog/b.png"],
        ("d/train", "d/val", []), [],
    ),
    "id and ood": (
        ["id/train/cat/a.png", "id/train/dog/a.png", "id/test/cat/b.png", "id/test/dog/b.png",
         "ood/svhn/a.png", "ood/places/b.png"],
        ("id/train", "id/test", ["ood/places", "ood/svhn"]), [],
    ),
    "ood sets with parts of their own": (
        ["ID/train/cat/a.png", "ID/train/dog/a.png", "ID/test/cat/b.png", "ID/test/dog/b.png",
         "OOD/svhn/train/a.png", "OOD/svhn/test/b.png", "OOD/dtd/dots/c.png", "OOD/dtd/hole/c.png"],
        ("ID/train", "ID/test", ["OOD/dtd", "OOD/svhn/test"]), ["OOD/svhn/train"],
    ),
    "names joined with the part": (
        ["cifar_train/cat/a.png", "cifar_train/dog/a.png", "cifar_test/cat/b.png",
         "cifar_test/dog/b.png", "ood_textures/a.png"],
        ("cifar_train", "cifar_test", ["ood_textures"]), [],
    ),
    "test split into id and ood": (
        ["train/cat/a.png", "train/dog/a.png", "test/id/cat/b.png", "test/id/dog/b.png",
         "test/ood/c.png"],
        ("train", "test/id", ["test/ood"]), [],
    ),
    "tables beside the images": (
        ["images/a.png", "images/b.png", "textures/c.png",
         "fit.csv=path,label|a.png,0|b.png,1", "test.csv=path,label|b.png,0"],
        ("fit.csv", "test.csv", ["textures"]), ["images"],
    ),
    "tables with columns of other names": (
        ["all/a.png", "all/b.png", "odd/c.png",
         "train.csv=filename,class|all/a.png,cat|all/b.png,dog",
         "val.csv=filename,class|all/b.png,cat", "log.csv=epoch,loss|1,0.3"],
        ("train.csv", "val.csv", ["odd"]), ["all"],
    ),
    "class folders and lists of them": (
        ["photos/cat/a.png", "photos/dog/b.png", "photos/cat/c.png", "photos/dog/d.png",
         "train.txt=photos/cat/a.png 0|photos/dog/b.png 1",
         "test.txt=photos/cat/c.png 0|photos/dog/d.png 1", "notes.txt=photos were made in May",
         "classes.txt=cat|dog", "ood.txt=misc/x.png -1", "misc/x.png"],
        ("train.txt", "test.txt", ["ood.txt"]), ["misc", "photos"],
    ),
    "one table of folders that are split": (
        ["train/cat/a.png", "train/dog/a.png", "test/cat/b.png", "test/dog/b.png",
         "labels.csv=path,label|train/cat/a.png,cat|test/dog/b.png,dog"],
        ("train", "test", []), ["labels.csv"],
    ),
    "lists and images as OpenOOD has them, folders of other names": (
        ["imglist/train_cifar10.txt=cifar10/a.png 0|cifar10/b.png 1",
         "imglist/test_cifar10.txt=cifar10/b.png 0",
         "imglist/val_cifar10.txt=cifar10/c.png 0", "imglist/test_svhn.txt=svhn/a.png -1",
         "imglist/val_svhn.txt=svhn/b.png -1", "images_classic/cifar10/a.png",
         "images_classic/cifar10/b.png", "images_classic/cifar10/c.png",
         "images_classic/svhn/a.png", "images_classic/svhn/b.png"],
        ("imglist/train_cifar10.txt", "imglist/test_cifar10.txt", ["imglist/test_svhn.txt"]),
        ["images_classic", "imglist/val_cifar10.txt", "imglist/val_svhn.txt"],
    ),
    "the same classes under another name are ID": (
        ["train/cat/a.png", "train/dog/a.png", "test/cat/b.png", "test/dog/b.png",
         "rainy/Cat/c.png", "rainy/dog/c.png", "sea/fish/a.png", "sea/crab/b.png"],
        ("train", "test", ["sea"]), ["rainy"],
    ),
    "the same classes are the test images where there are no others": (
        ["train/cat/a.png", "train/dog/a.png", "holdout/cat/b.png", "holdout/dog/b.png",
         "sea/fish/a.png", "sea/crab/b.png"],
        ("train", "holdout", ["sea"]), [],
    ),
    "classes that are numbers say nothing": (
        ["train/0/a.png", "train/1/a.png", "test/0/b.png", "test/1/b.png", "svhn/0/c.png",
         "svhn/1/c.png"],
        ("train", "test", ["svhn"]), [],
    ),
    "a class called train": (
        ["train/bus/a.png", "train/car/a.png", "train/train/a.png", "test/bus/b.png",
         "test/car/b.png", "test/train/b.png"],
        ("train", "test", []), [],
    ),
    "curves beside checkpoints": (
        ["train/cat/a.png", "train/dog/a.png", "test/cat/b.png", "test/dog/b.png", "runs/best.pt",
         "runs/loss.png"],
        ("train", "test", []), [],
    ),
    "two data sets, one in the checkpoint's name": (
        ["a/train/x/a.png", "a/train/y/a.png", "a/test/x/b.png", "a/test/y/b.png",
         "cifar10/train/cat/a.png", "cifar10/train/dog/a.png", "cifar10/test/cat/b.png",
         "cifar10/test/dog/b.png", "resnet20_cifar10.th"],
        ("cifar10/train", "cifar10/test", ["a/test"]), ["a/train"],
    ),
    "class folders that nothing calls fit": (
        ["cat/a.png", "dog/b.png", "best.pt"], ("", "", []), ["cat", "dog"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_layouts(name: str, tmp_path: Path) -> None:
    files, expected, unused = LAYOUTS[name]
    root = lay(tmp_path / "mine", *files)
    found = survey(root)
    assert taken(found, root) == expected
    assert sorted(short(s.source, root) for s in found.unused) == unused
    for chosen in found.sets():
        assert found.why[chosen.source], f"says why {chosen.source} was taken for what it was"
    draft = Draft(ood=found.others, num_classes=3)
    if found.pairs:
        draft = Draft(fit=found.pairs[0][0], test=found.pairs[0][1], ood=found.others)
    for part, chosen in draft.sets().items():
        if chosen.source:
            assert len(open_dataset(only_set(draft, part).sets[part])) >= 1, "as it was found"


def test_a_table_of_parquet_and_a_zip(tmp_path: Path) -> None:
    import zipfile

    import pyarrow as pa
    import pyarrow.parquet

    root = lay(tmp_path, "images/cat/a.png", "images/dog/b.png")
    for part in ("train", "test"):
        table = pa.table({"img": ["cat/a.png", "dog/b.png"], "label": ["cat", "dog"]})
        pyarrow.parquet.write_table(table, root / f"{part}.parquet")
    with zipfile.ZipFile(root / "far.zip", "w") as archive:
        archive.write(root / "images/cat/a.png", "x/a.png")
    (root / "broken.zip").write_bytes(b"PK")
    (root / "metrics.parquet").write_bytes(b"PAR1")
    found = survey(root)
    assert taken(found, root) == ("train.parquet", "test.parquet", ["far.zip"])
    assert found.pairs[0][0].options == {"path_column": "img", "root": str(root / "images")}


def test_near_is_taken_from_the_names(tmp_path: Path) -> None:
    root = lay(
        tmp_path, "id/train/a/a.png", "id/train/b/a.png", "id/test/a/b.png", "id/test/b/b.png",
        "ood/near/cars/a.png", "ood/far/sea/b.png",
    )  # fmt: skip
    assert {s.name: s.near for s in survey(root).others} == {"cars": True, "sea": False}


def test_fit_images_that_were_chosen_before_tell_id_from_ood(tmp_path: Path) -> None:
    root = lay(tmp_path / "b", "new/cat/a.png", "new/dog/a.png", "sea/fish/a.png", "sky/b.png")
    fit = lay(tmp_path / "a", "cat/a.png", "dog/a.png", "cow/a.png")
    assert survey(root).pairs == ()
    found = survey(root, SetDraft(str(fit), "fit"))
    assert taken(found, root) == ("", "new", ["sea", "sky"])


def test_two_data_sets_of_which_nothing_tells_which_is_id(tmp_path: Path) -> None:
    parts = [f"{d}/{s}/{c}/a.png" for d in "ab" for s in ("train", "test") for c in ("x" + d, "y")]
    found = survey(lay(tmp_path, *parts))
    assert len(found.pairs) == 2
    assert not found.certain


RANKED = {
    "best": ["best.pt", "last.pt", "epoch_10.pt"],
    "ema": ["net_ema.pth", "net_last.pth", "net_3.pth"],
    "epochs": ["epoch=11-step=110.ckpt", "epoch=9-step=999.ckpt"],
    "numbers": ["net-100.pt", "net-20.pt", "net-3.pt"],
    "folders": ["checkpoint-500/model.safetensors", "checkpoint-60/model.safetensors"],
    "lightning": ["version_1/a.ckpt", "version_0/a.ckpt"],
    "last": ["last.ckpt", "epoch=3.ckpt"],
}


@pytest.mark.parametrize("name", RANKED)
def test_checkpoints_are_ranked_with_the_reason(name: str, tmp_path: Path) -> None:
    files = [lay(tmp_path, f) / f for f in RANKED[name]]
    ranked = rank_checkpoints(reversed(files))
    assert [path for path, _ in ranked] == files
    assert all(why for _, why in ranked)


def test_the_newest_comes_first_where_names_say_nothing(tmp_path: Path) -> None:
    lay(tmp_path, "resnet-50.pt", "resnet18.pt")
    os.utime(tmp_path / "resnet-50.pt", (1, 1))
    ranked = rank_checkpoints(tmp_path.iterdir())
    assert [p.name for p, _ in ranked] == ["resnet18.pt", "resnet-50.pt"], "50 is no step"
    assert "written" in ranked[0][1]


def test_what_lies_beside_weights_is_no_checkpoint(tmp_path: Path) -> None:
    root = lay(
        tmp_path, "optimizer.pt", "scheduler.pt", "rng_state.pth", "training_args.bin",
        "pytorch_model.bin", "data.tar=not a checkpoint",
    )  # fmt: skip
    assert [p.name for p in survey(root).checkpoints] == ["pytorch_model.bin"]


def test_a_folder_or_pattern_stands_for_its_likeliest_checkpoint(folders, checkpoint) -> None:
    from ood_core.errors import ModelError
    from ood_core.wizard import checkpoints_at, complete

    for name in ("last", "best", "epoch_3"):
        path = checkpoint(name=f"{name}.pth")
    folder = path.parent
    for source in (str(folder), str(folder / "*.pth"), str(folder / "**" / "*.pth")):
        assert [p.stem for p, _ in checkpoints_at(source)] == ["best", "last", "epoch_3"]
        done = complete(Draft(checkpoint=source))
        assert (Path(done.checkpoint).name, done.architecture) == ("best.pth", "resnet20")
    assert [p.stem for p, _ in checkpoints_at(str(folder / "[le]*.pth"))] == ["last", "epoch_3"]
    assert checkpoints_at(str(path)) == checkpoints_at(str(folder / "gone.pth")) == ()
    with pytest.raises(ModelError, match="no file matches"):
        checkpoints_at(str(folder / "*.gone"))
    with pytest.raises(ModelError, match="the folder holds none"):
        checkpoints_at(str(folders / "drawings"))


def test_new_takes_the_likeliest_checkpoint_and_says_why(folders, checkpoint, capsys) -> None:
    from ood_core.commands._main import main
    from ood_core.experiments import load_experiment

    for name in ("last", "best"):
        checkpoint(name=f"mine/{name}.pth")
    line = ["new", "mine", "--from", str(folders), "--check", "0"]
    assert main(line) == 0
    said = capsys.readouterr().err
    assert "best.pth (named best)" in said
    assert "not this checkpoint: " in said
    assert "last.pth (the last one of its training)" in said
    assert load_experiment("mine").classifier.checkpoint.name == "best.pth"
    assert main([*line, "--force", "--checkpoint", str(folders / "l*.pth")]) == 0
    assert load_experiment("mine").classifier.checkpoint.name == "last.pth"
    assert main([*line, "--checkpoint", str(folders / "x*.pth")]) != 0
    assert "no file matches" in capsys.readouterr().err


def test_an_index_stands_for_its_shards(folders, checkpoint) -> None:
    """A shard alone is no checkpoint; the index beside it names them all."""
    import json

    import torch
    from safetensors.torch import save_file

    from ood_core.wizard import checkpoints_at, complete

    whole = checkpoint()
    state = list(torch.load(whole, weights_only=True)["state_dict"].items())
    whole.unlink()
    model = folders / "model"
    model.mkdir()
    where = {}
    for number, part in ((1, state[:50]), (2, state[50:])):
        name = f"model-0000{number}-of-00002.safetensors"
        save_file(dict(part), model / name)
        where |= {key: name for key, _ in part}
    index = model / "model.safetensors.index.json"
    index.write_text(json.dumps({"metadata": {}, "weight_map": where}))

    assert survey(folders).checkpoints == (index,)
    for source in (str(model), str(model / "*")):
        assert [path for path, _ in checkpoints_at(source)] == [index]
    done = complete(Draft(checkpoint=str(model)))
    assert (done.checkpoint, done.architecture) == (str(index), "resnet20")


def test_a_link_back_to_a_folder_above_is_not_followed(tmp_path) -> None:
    """It would find everything once more; links to elsewhere are followed."""
    root = lay(
        tmp_path / "mine", "train/cat/a.png", "train/dog/a.png", "test/cat/b.png", "test/dog/b.png"
    )
    (root / "again").symlink_to(root)
    (root / "train" / "up").symlink_to(root / "train")
    elsewhere = lay(tmp_path / "elsewhere", "a.png")
    (root / "far").symlink_to(elsewhere)
    found = survey(root)
    assert taken(found, root) == ("train", "test", ["far"])
    assert len(found.pairs) == 1
    assert found.certain
    assert not found.unused
