"""The command line: results, exit status, messages, Ctrl-C, and what the documents say."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ood_core import activations
from ood_core.activations import Activations
from ood_core.commands import _arguments, all_commands
from ood_core.commands import _main as cli
from ood_core.detectors import make_detector
from ood_core.errors import DataError
from ood_core.experiments.listing import LeftOut
from ood_core.runtime.progress import Progress
from ood_core.scoring import GateResult

GATES = (
    GateResult("Units can be off", False, 0.0, 0.0, "0.0 % are", "Choose another layer."),
    GateResult("Fit and test set are apart", False, 9.0, 0.0, "9 images", "Part them.", 3),
)
ROOT = Path(__file__).parents[2]
DOCS = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")


@pytest.fixture
def known(acts_set, monkeypatch):
    """An experiment "fake" whose activations exist; uploads become rows of its OOD set."""
    acts_set.experiment.test_set = "test"

    def load(name):
        from ood_core.errors import ConfigError

        if name != "fake":
            raise ConfigError(f"unknown experiment {name!r}.")
        return acts_set.experiment

    def embed(exp, images, names, device="auto"):
        acts = acts_set["far"].take(slice(0, len(images)))
        return Activations(acts.layers, logits=acts.logits, ids=names, name="upload")

    acts_set.skipped = dict.fromkeys(acts_set, ())
    acts_set.left_out = dict.fromkeys(acts_set, ())
    acts_set.notes = dict.fromkeys(acts_set, ())
    for module in (_arguments, *all_commands().values()):
        if hasattr(module, "load_experiment"):
            monkeypatch.setattr(module, "load_experiment", load)
    monkeypatch.setattr("ood_core.activations.extract", lambda exp, **options: acts_set)
    monkeypatch.setattr("ood_core.activations.embed", embed)
    monkeypatch.setattr("ood_core.scoring.run_gates", lambda acts: GATES)
    return acts_set


def run(capsys, *argv: str) -> tuple[int, str, str]:
    try:
        status = cli.main(argv)
    except SystemExit as done:  # argparse
        status = int(done.code or 0)
    out, err = capsys.readouterr()
    return status, out, err


def images(folder: Path, n: int = 3) -> list[str]:
    paths = []
    for i in range(n):
        paths.append(folder / f"{i}.png")
        Image.fromarray(np.full((4, 4), i * 40, np.uint8)).save(paths[-1])
    return [str(p) for p in paths]


def test_benchmark_prints_the_same_table_twice_and_writes_files(known, capsys, tmp_path):
    files = [tmp_path / f"t{suffix}" for suffix in (".csv", ".md", ".tex")]
    argv = ["benchmark", "fake", "--detectors", "nan,line"]
    status, out, err = run(capsys, *argv, *(f"--out={f}" for f in files))
    assert status == 0
    assert out == run(capsys, *argv)[1]
    assert out.startswith("| detector")
    assert "seconds: negative_aware_norm" in err
    worst = '"Fit and test set are apart" does not hold (9 images).'
    assert f"sanity gates: 2 of 2 checks fail: the worst, {worst}" in err
    rows = list(csv.DictReader(files[0].read_text().splitlines()))
    assert [r["detector"] for r in rows] == [*["negative_aware_norm"] * 2, "line", "line"]
    assert list(rows[0])[:6] == ["detector", "params", "layer", "id_set", "ood_set", "auroc"]
    assert "seconds" in files[1].read_text()
    assert files[2].read_text().startswith(r"\begin{tabular}")


def test_benchmark_json_is_the_csv(known, capsys):
    _, out, _ = run(capsys, "benchmark", "fake", "--detectors", "nan", "--json", "--quiet")
    rows = [json.loads(line) for line in out.splitlines()]
    assert [row["ood_set"] for row in rows] == ["near", "far"]
    assert 0 <= rows[0]["auroc"] <= 1


def test_benchmark_takes_parameters_and_a_grid(known, capsys, tmp_path):
    file = tmp_path / "t.csv"
    argv = ["benchmark", "fake", "--detectors", "nan+knn"]
    status, out, err = run(
        capsys, *argv, "--params", "squared=True", "--grid", "k=1,500,9", "--out", str(file)
    )
    assert status == 1
    assert "parameter 'k' must be at most the number of fit images (200), got 500." in err
    assert "A setting picked from these numbers is tuned on the OOD sets shown." in err
    assert [line.count("k=") for line in out.splitlines()] == [0, 0, 1, 1, 1]
    assert "k=500" in out.splitlines()[-1]
    assert "must be at most" in out.splitlines()[-1]
    rows = list(csv.DictReader(file.read_text().splitlines()))
    assert [bool(r["error"]) for r in rows] == [False] * 4 + [True] * 2
    assert all("squared=True" in r["params"] for r in rows)
    _, out, _ = run(capsys, *argv, "--grid", "k=1,500", "--json")
    records = [json.loads(line) for line in out.splitlines()]
    assert ["error" in r for r in records] == [False, False, True, True]
    assert records[-1]["auroc"] is None
    assert (records[-1]["n_id"], records[-1]["n_ood"]) == (90, 50)
    status, _, err = run(capsys, *argv, "--grid", "k=1,9")
    assert status == 0
    assert run(capsys, *argv, "--params", "k=9")[0] == 0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--params", "k=1"], "--detectors names 0"),
        (["--detectors", "knn,nan", "--grid", "k=1,2"], "--detectors names 2"),
        (["--detectors", "knn", "--grid", "k=1,0"], "parameter 'k' must be"),
        (["--detectors", "knn", "--grid", "k"], "must read name=value,value"),
        (["--detectors", "knn", "--grid", ""], "must read name=value,value"),
        (["--detectors", "knn", "--params", "q=1"], "has no parameter 'q'"),
        (["--detectors", "knn", "--params", "k=1", "--grid", "k=1,2"], "leave one out"),
    ],
)
def test_wrong_parameters_of_benchmark_are_told_before_any_work(
    known, capsys, monkeypatch, options, message
):
    def never(*_, **__):
        raise AssertionError("extracted")

    monkeypatch.setattr("ood_core.activations.extract", never)
    status, out, err = run(capsys, "benchmark", "fake", *options)
    assert (status, out) == (2, "")
    assert message in err


def test_benchmark_tells_when_nothing_could_run(known, capsys):
    known.head = None
    status, out, err = run(capsys, "benchmark", "fake", "--detectors", "line")
    assert status == 1
    assert "it needs the classifier's head" in out.splitlines()[-1]
    assert "error: detector 'line' cannot run" in err
    status, out, err = run(capsys, "benchmark", "fake")
    assert status == 0
    assert "left out: detector 'line' cannot run" in err
    assert "| line " not in out


def test_score_prints_one_object_a_line_in_order(known, capsys, tmp_path):
    good = images(tmp_path)
    broken = tmp_path / "broken.png"
    broken.write_text("no image")
    argv = ["score", "fake", "--detector", "nan", "--json", good[0], str(broken), *good[1:]]
    status, out, err = run(capsys, *argv)
    records = [json.loads(line) for line in out.splitlines()]
    assert status == 1
    assert err == ""
    assert [r["path"] for r in records] == [good[0], str(broken), *good[1:]]
    assert list(records[1]) == ["path", "error"]
    assert "broken.png" in records[1]["error"]
    assert list(records[0]) == [
        "path", "prediction", "probability", "score", "threshold", "is_id", "id_percentile",
    ]  # fmt: skip
    assert records[0]["is_id"] is (records[0]["score"] >= records[0]["threshold"])


def test_score_takes_folders_and_says_how_the_threshold_was_chosen(known, capsys, tmp_path):
    images(tmp_path)
    argv = ["score", "fake", "--detector", "nan", "--at", "alpha=0.1", str(tmp_path)]
    status, out, err = run(capsys, *argv)
    assert status == 0
    assert len(out.splitlines()) == 3
    assert re.match(r"(ID |OOD)    .*0\.png: score .* of the ID test set, predicted \d", out)
    assert err.startswith("threshold ")
    assert "At most 10 % of new ID images are rejected" in err


def test_score_says_when_a_layer_changes_nothing(known, capsys, tmp_path):
    (one,) = images(tmp_path, 1)
    argv = ["score", "fake", "--detector", "energy", "--layer", "early", one]
    status, _, err = run(capsys, *argv)
    assert status == 0
    assert "energy reads the penultimate features: --layer changes nothing." in err
    assert "changes nothing" not in run(capsys, *argv[:3], "nan", *argv[4:])[2]


def test_score_takes_parameters(known, capsys, tmp_path):
    (one,) = images(tmp_path, 1)
    argv = ["score", "fake", "--detector", "feature_norm", "--json", one]
    plain, two = (json.loads(run(capsys, *argv, *more)[1]) for more in ((), ("--params", "p=2")))
    expected = make_detector("feature_norm", p=2).fit(known["fit"]).score_samples(known["far"])[0]
    assert two["score"] == pytest.approx(expected, rel=1e-12)
    assert plain["score"] != two["score"]
    status, _, err = run(capsys, *argv, "--params", "q=2")
    assert status == 2
    assert "has no parameter 'q'" in err
    assert "must read name=value" in run(capsys, *argv, "--params", "p")[2]


@pytest.mark.parametrize("command", ["score", "export"])
def test_wrong_parameters_are_told_before_any_work(known, capsys, tmp_path, monkeypatch, command):
    def never(*_, **__):
        raise AssertionError("extracted")

    monkeypatch.setattr("ood_core.activations.extract", never)
    last = ["--out", str(tmp_path / "a.pt2")] if command == "export" else images(tmp_path, 1)
    argv = [command, "fake", "--detector", "feature_norm", "--params", "p=-1", *last]
    status, _, err = run(capsys, *argv)
    assert status == 2
    assert "parameter 'p' must be" in err


def test_score_same_file_twice_gives_two_lines(known, capsys, tmp_path):
    (one,) = images(tmp_path, 1)
    _, out, _ = run(capsys, "score", "fake", "--detector", "nan", "--json", one, one)
    first, second = (json.loads(line) for line in out.splitlines())
    assert first == second


def test_score_holds_few_large_images_and_scores_all(known, capsys, tmp_path, monkeypatch):
    argv = ["score", "fake", "--detector", "nan", "--json", *images(tmp_path)]
    whole = run(capsys, *argv)
    batches = []

    def embedded(exp, given, *more):
        batches.append(len(given))
        return embed(exp, given, *more)

    embed = activations.embed
    monkeypatch.setattr("ood_core.activations.embed", embedded)
    monkeypatch.setattr("ood_core.commands.score.BATCH_PIXELS", 1)
    apart = run(capsys, *argv)
    assert batches == [1, 1, 1]
    assert [json.loads(a)["path"] for a in apart[1].splitlines()] == argv[5:]
    assert apart[0] == whole[0]


def test_minus_infinity_is_null_in_json(known, capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(
        "ood_core.scoring.new_images.score_rows", lambda fitted, acts: np.full(len(acts), -np.inf)
    )
    (one,) = images(tmp_path, 1)
    _, out, _ = run(
        capsys, "score", "fake", "--detector", "nan", "--json", "--at", "threshold=0", one
    )
    record = json.loads(out, parse_constant=lambda text: pytest.fail(text))
    assert record["score"] is None
    assert record["is_id"] is False


@pytest.mark.parametrize(
    ("argv", "status", "message"),
    [
        (["benchmark", "nope"], 2, "error: unknown experiment 'nope'"),
        (["benchmark", "fake", "--detectors", "nam"], 2, "Did you mean 'nan'"),
        (["benchmark", "fake", "--layer", "x", "--detectors", "nan"], 2, "unknown layer 'x'"),
        (["benchmark", "fake", "--out", "t.xls"], 2, "must end in .csv, .md, .tex"),
        (["benchmark", "fake", "--out", "/nowhere/t.csv"], 2, "folder /nowhere does not exist"),
        (["benchmark", "fake", "--ood-sets", "fra"], 2, "Did you mean 'far'"),
        (["score", "fake", "--detector", "nan", "--at", "tpr=2", "x.png"], 2, r"tpr must be in"),
        (["score", "fake", "--detector", "nan", "--at", "x", "x.png"], 2, "write tpr=0.95"),
        (["score", "fake", "--detector", "nan"], 2, "required: IMAGE"),
        (["score", "fake", "x.png"], 2, "required: --detector"),
        (["store", "--prune", "-1"], 2, "--prune must be a number of gigabytes"),
        (["frobnicate"], 2, "invalid choice"),
        ([], 2, "required: COMMAND"),
    ],
)
def test_what_goes_wrong_is_one_clear_line(known, capsys, argv, status, message):
    found, out, err = run(capsys, *argv, "--quiet") if argv[1:] else run(capsys, *argv)
    assert (found, out) == (status, "")
    assert message in err
    assert "Traceback" not in err
    if "error: " in err and not err.startswith("usage"):
        assert len(err.splitlines()) == 1


def test_failed_work_is_status_1(known, capsys, monkeypatch):
    def fail(exp, **options):
        raise DataError("folder 'x' is empty.")

    monkeypatch.setattr("ood_core.activations.extract", fail)
    assert run(capsys, "extract", "fake") == (1, "", "error: folder 'x' is empty.\n")


def test_extract_says_what_is_stored_and_what_was_not_read(known, capsys):
    status, out, _ = run(capsys, "extract", "fake")
    assert status == 0
    assert re.search(r"^test +90 images, 2 layers$", out, re.M)
    known.skipped["far"] = (("a.png", "a.png: the file is empty (0 bytes)."),)
    status, out, err = run(capsys, "extract", "fake", "--json")
    assert status == 1
    assert "not read: a.png: the file is empty" in err
    assert json.loads(out.splitlines()[-1])["skipped"][0]["path"] == "a.png"


def test_extract_names_what_is_left_out_and_assumed(known, capsys):
    known.left_out["far"] = (LeftOut("a.txt", "not an image by name"),)
    known.notes["far"] = (("b.tif", "16-bit values from 0 to 9 were taken as 0 to 255"),)
    status, _, err = run(capsys, "extract", "fake")
    assert status == 0
    assert "far: Left out: 1 not an image by name (a.txt)." in err
    assert "far: Assumed of 1 image: b.tif: 16-bit values" in err
    known.left_out["far"] = (LeftOut("a.png", "link to nothing", lost=True),)
    status, out, _ = run(capsys, "extract", "fake", "--json")
    assert status == 1
    record = json.loads(out.splitlines()[-1])
    assert record["left_out"] == [{"path": "a.png", "reason": "link to nothing"}]
    assert record["notes"][0]["path"] == "b.tif"


def test_score_of_a_folder_says_what_it_leaves_out_and_assumes(known, capsys, tmp_path):
    images(tmp_path)
    os.mkfifo(tmp_path / "pipe.png")
    (tmp_path / "notes.txt").write_text("x")
    Image.fromarray(np.full((4, 4), 9, np.int32)).save(tmp_path / "wide.tif")
    argv = ("score", "fake", "--detector", "msp", str(tmp_path))
    status, out, err = run(capsys, *argv)
    assert status == 1
    assert f"error  {tmp_path}/pipe.png: left out (FIFO, not a file)." in out
    assert len(out.splitlines()) == 5
    assert "1 FIFO, not a file (pipe.png), 1 not an image by name (notes.txt)" in err
    assert "wide.tif: 32-bit values from 9 to 9 were taken as 0 to 255." in err
    records = [json.loads(line) for line in run(capsys, *argv, "--json")[1].splitlines()]
    by_name = {Path(r["path"]).name: r for r in records}
    assert "FIFO" in by_name["pipe.png"]["error"]
    assert by_name["wide.tif"]["note"].startswith("32-bit values")
    assert "note" not in by_name["0.png"]


def test_experiments_lists_ready_missing_and_broken(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "mine.toml").write_text("name = ")
    status, out, _ = run(capsys, "experiments")
    assert status == 0
    assert re.search(r"^digits +ready +Handwritten digits$", out, re.M)
    assert re.search(r"^mine +cannot be used: mine\.toml is not valid TOML", out, re.M)
    records = [json.loads(line) for line in run(capsys, "experiments", "--json")[1].splitlines()]
    digits = next(r for r in records if r["name"] == "digits")
    assert digits["ready"] is True
    assert "held-out" in digits["ood_sets"]
    assert any(r["missing"] for r in records)


def test_store_is_listed_and_pruned(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    assert run(capsys, "store", "--prune", "0")[0] == 0
    assert "0 entries" in run(capsys, "store")[2]


def test_download_says_how_to_get_what_it_cannot_fetch(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("OOD_LENS_HOME", str(tmp_path))
    monkeypatch.setenv("OOD_LENS_DATA", str(tmp_path))
    status, out, _ = run(capsys, "download", "cifar10-jpeg-densenet", "textures")
    assert status == 1
    assert out.startswith("textures: ")
    assert str(tmp_path) in out
    assert run(capsys, "download", "digits")[0] == 0
    status, _, err = run(capsys, "download", "digits", "photo")
    assert status == 2
    assert "Did you mean 'photos'" in err


def test_check_detector_reports_each_check(capsys, monkeypatch):
    from ood_core.detectors.contract import CheckResult

    status, out, err = run(capsys, "check-detector", "nan", "negative_aware_norm")
    assert status == 0, out
    assert {line.split()[0] for line in out.splitlines()} == {"holds"}
    assert re.fullmatch(r"negative_aware_norm: (\d+) of \1 checks hold\.\n", err)
    broken = [CheckResult("is right", True), CheckResult("is quick", False, "took an hour")]
    monkeypatch.setattr("ood_core.detectors.contract.check_detector", lambda name: broken)
    status, out, err = run(capsys, "check-detector", "mine")
    assert (status, out) == (1, "holds  is right\nFAILS  is quick: took an hour\n")
    assert err == "mine: 1 of 2 checks hold.\n"
    _, out, _ = run(capsys, "check-detector", "mine", "--json")
    assert json.loads(out.splitlines()[1]) == {
        "detector": "mine", "check": "is quick", "passed": False, "message": "took an hour",
    }  # fmt: skip
    monkeypatch.undo()
    assert run(capsys, "check-detector", "nam")[0] == 2


@pytest.fixture
def ctrl_c():
    """SIGINT heard here and in children, though a background job is started with it ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def test_ctrl_c_keeps_finished_detectors(known, capsys, tmp_path, monkeypatch, ctrl_c):
    from ood_core.scoring import benchmarking

    original = benchmarking.score

    def slow(acts_set, name, *rest):
        if name == "line":
            signal.raise_signal(signal.SIGINT)
        return original(acts_set, name, *rest)

    monkeypatch.setattr(benchmarking, "score", slow)
    out_file = tmp_path / "r.csv"
    status, out, err = run(
        capsys, "benchmark", "fake", "--detectors", "nan,line,energy", "--out", str(out_file)
    )
    assert status == 130
    assert "Ctrl-C again ends at once" in err
    assert "interrupted. What was finished is kept" in err
    assert {r["detector"] for r in csv.DictReader(out_file.read_text().splitlines())} == {
        "negative_aware_norm",
        "line",
    }
    assert "energy" not in out
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_second_ctrl_c_ends_at_once(known, capsys, monkeypatch, ctrl_c):
    def hang(exp, **options):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("ood_core.activations.extract", hang)
    assert run(capsys, "extract", "fake")[0] == 130


def test_ctrl_c_stays_ignored_where_it_was(known, capsys, monkeypatch, ctrl_c):
    def work(exp, **options):
        signal.raise_signal(signal.SIGINT)
        assert not options["should_stop"]()
        return known

    monkeypatch.setattr("ood_core.activations.extract", work)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    status, _, err = run(capsys, "extract", "fake")
    assert status == 0
    assert "stopping" not in err
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN


def test_progress_goes_to_standard_error_with_rate_and_estimate(known, capsys, monkeypatch):
    def work(exp, progress, **options):
        for done in (0, 50, 100):
            progress(Progress("extracting test", done, 100, 10.0, 5.0))
        progress(Progress("extracting far", 5, 10, 10.0, 5.0))
        return known

    monkeypatch.setattr("ood_core.activations.extract", work)
    _, out, err = run(capsys, "extract", "fake")
    assert "extracting test: 100%" in err
    assert "/s]" in err
    assert "%" not in out
    assert "extracting" not in run(capsys, "extract", "fake", "--quiet")[2]


def test_every_command_is_documented_and_every_documented_one_exists(capsys):
    sections = dict(re.findall(r"^## ([\w-]+)\n(.*?)(?=^## |\Z)", DOCS, re.M | re.S))
    assert set(sections) == set(all_commands())
    status, help_text, _ = run(capsys, "--help")
    assert status == 0
    for name, text in sections.items():
        assert f"\n    {name}" in help_text
        _, own_help, _ = run(capsys, name, "--help")
        options = set(re.findall(r"--[a-z-]+", own_help)) - {"--help", "--quiet"}
        assert options <= set(re.findall(r"--[a-z-]+", text)), name
        for line in re.findall(r"^    python -m ood_core (.*)$", text, re.M):
            used = set(re.findall(r"--[a-z-]+", line))
            assert used <= options, line
            assert line.split()[0] == name


def test_module_runs_and_survives_a_closed_pipe():
    code = f"{sys.executable} -m ood_core experiments --json | head -n 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", code],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert json.loads(done.stdout)["name"] == "digits"
    assert done.stderr == ""


def test_help_is_quick_and_imports_nothing_heavy():
    code = (
        "import sys; from ood_core.commands import _main; _main.make_parser();"
        "sys.exit(str({'torch', 'pandas', 'plotly', 'scipy', 'sklearn'} & set(sys.modules) or ''))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert not done.stderr.strip(), done.stderr


def test_sigint_reaches_a_running_process(ctrl_c):
    """A real process, a real signal: it says what it kept and ends with 130."""
    code = (
        "import sys, time\n"
        "from ood_core.commands._terminal import Terminal\n"
        "from ood_core import commands\n"
        "from ood_core.commands import _main as cli\n"
        "from ood_core.errors import StoppedError\n"
        "def run(args, terminal):\n"
        "    print('ready', flush=True)\n"
        "    while not terminal.should_stop():\n"
        "        time.sleep(0.01)\n"
        "    raise StoppedError\n"
        "commands.all_commands()['store'].run = run\n"
        "sys.exit(cli.main(['store']))\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, env=os.environ,
    )  # fmt: skip
    assert process.stdout.readline() == "ready\n"
    time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert "interrupted. What was finished is kept" in err
