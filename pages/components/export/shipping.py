"""What a view becomes: a recipe, a report, a deployable detector."""

from __future__ import annotations

import re
import shlex
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.detectors import detector_class, exportable
from ood_core.export import export
from ood_core.export.program import MOST_IMAGES, not_exportable
from ood_core.export.recipe import of_view
from ood_core.export.report import report as write
from ood_core.scoring import tables
from pages.components.charts import figures
from pages.components.kit import cache, jobs
from pages.components.kit.plain import plain, without_directives
from pages.components.kit.view import View

if TYPE_CHECKING:
    from ood_core.export import ExportReport
    from ood_core.scoring import ScoreSet
    from ood_core.thresholds import OperatingPoint

__all__ = ["detector", "recipe", "report"]


def recipe(view: View, scores: ScoreSet, at: str) -> None:
    """The view as a file that `benchmark` runs."""
    st.subheader("Recipe")

    name = str(view.experiment.path or view.experiment.name)
    if view.experiment.path and "builtin" in Path(name).parts:
        name = view.experiment.name
    layerwise = detector_class(view.detector).layerwise
    text = of_view(scores, name, at, layerwise=layerwise).to_toml()
    st.caption(
        "Experiment, detector, parameters, layer, OOD sets, threshold rule and the figures shown. "
        "It runs without the dashboard and says whether every figure is the same."
    )
    file = f"{view.experiment.name}-{view.detector}.toml"
    with st.container(height=220, border=False):  # the keyboard scrolls it by its copy button
        st.code(text, language="toml", wrap_lines=True)
    st.download_button(
        "Download recipe", text, file,
        key="recipe", on_click="ignore", icon=":material/download:",
    )  # fmt: skip
    st.code(
        shlex.join(["python", "-m", "ood_core", "benchmark", file]),
        "bash",
        wrap_lines=True,
    )


def report(
    view: View, scores: ScoreSet, point: OperatingPoint, check: OperatingPoint | None
) -> None:
    """One page in words and numbers, to defend the choice with."""
    st.subheader("Report")

    text = write(view.experiment, view.acts, scores, view.gates(), point, check)
    st.caption("What was chosen, on which images, and what it did on others. Markdown.")
    with st.container(border=True, height=320):
        smaller = text.replace("\n## ", "\n##### ").replace("# ", "#### ", 1)
        st.markdown(without_directives(re.sub(r"(?<!\\)~", r"\\~", smaller)))
    with st.container(horizontal=True):
        st.download_button(
            "Download report", text, f"{view.experiment.name}-{view.detector}.md",
            key="report", on_click="ignore", icon=":material/download:",
        )  # fmt: skip
        figures.csv_button(lambda: tables.tidy([scores]), "results", key="report_csv")


def detector(view: View, at: str) -> None:
    """The detector as one file that only needs torch."""
    st.subheader("Deployable detector")
    given = "logits" if view.acts.head else "features"
    st.caption(
        f"Network, score and threshold as one torch.export program: images in [0, 1] in; {given}, "
        "score and verdict out. It is run on ID test images and compared before you get it."
    )
    reason = _cannot(view)
    if reason:
        st.info(reason, icon=":material/block:")
        return
    if st.button("Build the file", key="build_export", icon=":material/deployed_code:"):
        st.session_state["_export"] = (view.detector, at)
    if st.session_state.get("_export") != (view.detector, at):
        return
    key = ("export", view.fingerprint, view.detector, cache.frozen(view.params), at)
    built = jobs.result(key, lambda *_: _build(view, at), "Building and checking the file …")
    if built is None:
        return
    data, made = built
    st.success(
        f"{made.megabytes:.1f} MB, threshold {made.threshold:.6g}. On {made.checked} ID test "
        f"images its scores differ from these pages by {made.largest_difference:.1g} at most.",
        icon=":material/verified:",
    )
    file = f"{view.experiment.name}-{view.detector}.pt2"
    st.download_button(
        f"Download {file}", data, file,
        key="export", on_click="ignore", icon=":material/download:",
    )  # fmt: skip

    c, h, w = made.input_shape
    st.caption(
        f"It takes images of {c} x {h} x {w} (channels x height x width), float32 in [0, 1], "
        f"already resized and cropped as the experiment's preprocessing says; {MOST_IMAGES} at "
        "once at most. It normalises them itself."
    )
    st.code(
        f'import torch\n\ndetect = torch.export.load("{file}").module()\n'
        f'verdict = detect(images)["is_id"]      # images: float32 (n, {c}, {h}, {w}) in [0, 1]',
        language="python",
    )


def _cannot(view: View) -> str:
    """Why no file can be made of the view's network and detector; "" where one can."""
    if view.experiment.classifier.features_only:
        return (
            "There is no network to put into the file: this experiment has features that were "
            "computed elsewhere. The recipe repeats these figures from the files of features, and "
            "the command score judges new rows."
        )
    if view.detector not in exportable():
        able = [n for n in exportable() if n not in view.lacking]
        names = ", ".join(cache.detector_titles().get(n, n) for n in able)
        return f"This detector cannot be exported. These can: {names}."
    return plain(not_exportable(view.acts))


def _build(view: View, at: str) -> tuple[bytes, ExportReport]:
    with tempfile.TemporaryDirectory() as folder:
        made = export(
            view.acts, view.detector, Path(folder) / "detector.pt2", at=at, params=view.params
        )
        return made.path.read_bytes(), made
