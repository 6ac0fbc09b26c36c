"""What is missing, downloads in the background, uploads kept, files of others opened."""

from __future__ import annotations

import io

import pytest

from ood_core import wizard
from ood_core.errors import ConfigError, DataError, StoppedError
from ood_core.experiments import load_experiment, to_toml
from ood_core.runtime.progress import Progress
from ood_core.wizard import Draft, SetDraft


@pytest.fixture
def exp(folders):
    return wizard.new_experiment(
        Draft(
            name="mine",
            architecture="torchvision:resnet18",
            weights="IMAGENET1K_V1",
            fit=SetDraft(str(folders / "photos/train"), options={"labels": "none"}),
            test=SetDraft(str(folders / "photos/test"), options={"labels": "none"}),
            ood=(SetDraft("torchvision:SVHN", "svhn"), SetDraft(str(folders / "drawings"), "d")),
        )
    )


def test_missing_names_weights_and_sets_with_their_sizes(exp):
    weights, svhn = wizard.missing(exp)
    assert (weights.name, weights.download, weights.megabytes) == (wizard.CLASSIFIER, True, 45)
    assert "https://download.pytorch.org/models/resnet18" in weights.message
    assert (svhn.name, svhn.download, svhn.megabytes) == ("svhn", True, 64)


def test_what_must_be_fetched_by_hand_says_from_where_and_to_which_folder(own_home):
    found = {m.name: m for m in wizard.missing(load_experiment("imagenet-resnet50"))}
    assert not found["fit"].download
    assert "https://image-net.org" in found["fit"].message
    assert str(own_home / "data" / "imagenet" / "train") in found["fit"].message
    assert found["textures"].download


def test_nothing_is_missing_of_the_embedded_experiment():
    assert wizard.missing(load_experiment("digits")) == ()


@pytest.mark.parametrize(
    ("outcome", "state"),
    [(None, "done"), (DataError("no network."), "failed"), (StoppedError("x"), "stopped")],
)
def test_a_fetch_runs_in_the_background_and_ends(exp, monkeypatch, outcome, state):
    def download(spec, progress, should_stop):
        assert spec.source == "SVHN"
        progress(Progress("Downloading", 1, 2))
        if outcome is not None:
            raise outcome

    monkeypatch.setattr("ood_core.wizard.requirements.download", download)
    job = wizard.fetch(exp, "svhn")
    assert job.wait(10)
    assert wizard.find_fetch(exp, "svhn") is job
    assert (job.state, job.active) == (state, False)
    assert job.error == ("no network." if state == "failed" else None)
    assert job.progress.done == 1


def test_uploads_are_kept_once_below_the_home(own_home):
    path = wizard.keep_upload("../my set?.zip", io.BytesIO(b"PK"))
    assert path.is_relative_to(own_home / "uploads")
    assert (path.name, path.read_bytes()) == ("my set_.zip", b"PK")
    assert wizard.keep_upload("../my set?.zip", io.BytesIO(b"PK")) == path
    assert wizard.keep_upload("my set?.zip", io.BytesIO(b"other")) != path
    with pytest.raises(DataError, match=r"the file is empty \(0 bytes\)"):
        wizard.keep_upload("a.zip", io.BytesIO(b""))


def test_a_file_of_someone_else_becomes_a_draft(tmp_path):
    text = to_toml(load_experiment("cifar10-jpeg-densenet"))
    draft = wizard.parse_draft(text.encode(), "theirs.toml")
    assert draft.architecture == "densenet_bc100_12"
    assert draft.fit.source == "cifar10-jpeg/train"
    assert [s.name for s in draft.ood] == ["textures", "photos"]
    (tmp_path / "theirs.toml").write_text(text)
    assert wizard.load_draft(tmp_path / "theirs.toml").ood == draft.ood


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = ", "theirs.toml is not valid TOML"),
        (b"\xff\xfe", "theirs.toml is not UTF-8 text"),
        (b"[clasifier]\n", "theirs.toml: unknown key 'clasifier'. Did you mean 'classifier'"),
    ],
)
def test_a_file_that_is_no_experiment_says_why(content, message):
    with pytest.raises(ConfigError, match=message):
        wizard.parse_draft(content, "theirs.toml")


def test_relative_paths_of_a_file_are_looked_up_beside_it_first(folders, tmp_path):
    theirs = folders / "theirs.toml"
    theirs.write_text(
        '[classifier]\narchitecture = "resnet20"\ncheckpoint = "gone.pth"\nnum_classes = 3\n'
        '[id]\nfit = { folder = "photos/train" }\n'
        'test = { image_list = "test.txt", root = "photos" }\n'
        '[[ood]]\nname = "d"\nfolder = "drawings"\n[[ood]]\nname = "s"\ntorchvision = "SVHN"\n'
    )
    draft = wizard.load_draft(theirs)
    assert draft.fit.source == str(folders / "photos/train")
    assert (draft.test.source, draft.test.options["root"]) == ("test.txt", str(folders / "photos"))
    assert [s.source for s in draft.ood] == [str(folders / "drawings"), "torchvision:SVHN"]
    assert draft.checkpoint == "gone.pth"
    (folders / "test.txt").write_text("test/cat/00.png 0\n")
    assert wizard.load_draft(theirs).test.source == str(folders / "test.txt")


def test_what_can_be_downloaded_is_open_and_stops_neither_saving_nor_the_gates(exp):
    lines = {line.part: line for line in wizard.check_draft(wizard.draft_of(exp))}
    weights, svhn = lines["classifier"], lines["svhn"]
    assert (weights.ok, weights.fetch) == (None, "weights")
    assert "are not on this machine" in weights.text
    assert "downloaded once the experiment is saved, about 45 MB" in weights.remedy
    assert (svhn.ok, svhn.fetch, svhn.text) == (None, "data", "SVHN is not on this machine.")
    assert "about 64 MB" in svhn.remedy
    assert all(lines[name].ok for name in ("fit", "test", "d"))
    assert wizard.sample(exp).ood_sets == ("d",)


def test_files_of_someone_else_that_are_missing_are_errors():
    draft = wizard.draft_of(load_experiment("cifar10-jpeg-densenet"))
    assert {line.ok for line in wizard.check_draft(draft)} == {False}
