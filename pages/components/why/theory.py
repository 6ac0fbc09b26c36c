"""What the page Why it works draws: one section a claim, its figure, its verdicts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.theory import (
    PER_SET,
    background,
    lab,
    measured_layer,
    not_measurable,
    theory_summary,
)
from ood_core.theory.claims.of_network import claims_of_hidden, claims_of_nan_here, norm_and_nan
from ood_core.theory.lab.vectors import OOD_SETS
from pages.components.charts import figures
from pages.components.kit import cache, state
from pages.components.kit.plain import plain
from pages.components.kit.prepare import progress_text
from pages.components.kit.view import View
from pages.components.kit.words import nothing_to_tell_apart
from pages.components.why import lab_figures
from pages.components.why.theory_words import INTRO, LAB, SECTIONS

if TYPE_CHECKING:
    from ood_core.activations import ActivationSet
    from ood_core.runtime.jobs import Job
    from ood_core.theory import Claim
    from ood_core.theory.hidden_classifier.result import HiddenClassifier
    from ood_core.theory.lab import LabResults

__all__ = ["hidden_section", "intro", "lab_panel", "lab_sections", "nan_section"]

MEAN = "mean of the six"
_NO_HEAD = (
    "Your network has no head, so it has no logits for this claim to be about: nothing says which "
    "classes its units speak for. Add the head to the experiment, or see the claim tested on the "
    "lab's networks below. Norm and NAN need no head and are measured next."
)
_MARKS = {True: ("good", "✓"), False: ("bad", "✗"), None: ("open", "?")}
_NEW_RESULTS_EVERY = 1.0


def intro() -> None:
    """The terms that every section uses."""
    with st.container(key="theory_intro"):
        st.markdown(INTRO)


def hidden_section(view: View) -> None:
    """The hidden classifier of the chosen layer of the user's own network."""
    if view.acts.head is None:
        where = f"your network: {view.experiment.title}"
        _section("hidden", _no_head, (), where=where)
        return
    from ood_core.plots.hidden_classifier import norm_against_logit

    known: dict[str, HiddenClassifier] = cache.once(("hidden", view.fingerprint, view.layer), dict)
    if not known:  # "not yet" is asked again on each run, a measurement is kept
        known.update(measured_layer(view.acts, view.layer) or {})
    found = known or None
    test = view.experiment.test_set

    def draw() -> None:
        if found is None:
            _measure_panel(view)
            return
        shown = {name: found[name] for name in (test, *view.ood_sets)}
        colours = {name: view.colour(name) for name in shown}
        fig = norm_against_logit(shown, colours, view.layer)
        figures.show(
            fig, "norm_against_logit", data=lambda: theory_summary(shown), name="hidden_classifier"
        )
        st.caption(_about(found[test]))

    claims = claims_of_hidden(found, test) if found is not None else []
    _section("hidden", draw, claims, where=f"your network: {view.experiment.title}, {view.layer}")


def _no_head() -> None:
    st.info(_NO_HEAD, icon=":material/info:")


def nan_section(view: View) -> None:
    """Norm against NAN at the chosen layer of the user's own network."""
    from ood_core.plots.hidden_classifier import nan_gain

    key = ("theory nan", view.fingerprint, view.layer, view.ood_sets)
    rows = cache.once(key, lambda: norm_and_nan(view.acts, view.layer, view.ood_sets))
    claims = cache.once(
        (*key, "claims"), lambda: claims_of_nan_here(view.acts, view.layer, view.ood_sets)
    )

    def draw() -> None:
        if nothing_to_tell_apart(view.ood_sets):
            return
        fig = nan_gain(rows, view.ood_sets, f"Norm and NAN at {view.layer} of your network")
        figures.show(fig, "nan_here", data=rows, name="norm_and_nan")

    _section("nan", draw, claims, where=f"your network: {view.experiment.title}, {view.layer}")


def lab_panel() -> LabResults | None:
    """The training lab: start it, watch it, or its results when they are complete."""
    st.html("<h2 class='section'>The training lab: the same claims on networks trained here</h2>")
    with st.container(key="lab_sections"):
        st.markdown(LAB)
    there, planned = len(lab.finished()), len(lab.full_plan())
    job = background.find_lab()
    if there >= planned:
        return cache.once(("lab", lab.results.recipe()), lab.load_results)
    if job is not None and job.active:
        _watch("lab_sections_job", background.find_lab, "Training the lab's networks")
        return None
    if job is not None and job.error:
        st.error(plain(job.error), icon=":material/error:")
    label = "Train the networks" if not there else f"Go on ({there} of {planned} are trained)"
    st.button(label, key="theory_run_lab", type="primary", icon=":material/play_arrow:",
              on_click=_train)  # fmt: skip
    st.caption(
        "Takes two to five minutes of one core, once; you can leave this page meanwhile. What is "
        "trained is kept."
    )
    return None


def _train() -> None:
    background.start_lab()


def lab_sections(results: LabResults) -> None:
    """All sections that the lab answers, for one choice of OOD set."""
    choice = state.choose("lab_against", [MEAN, *OOD_SETS], MEAN)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        st.selectbox("OOD set of the sections below", [MEAN, *OOD_SETS], key="lab_against",
                     width=280)  # fmt: skip
    state.publish()
    against = None if choice == MEAN else choice

    for name in ("layers", "training", "labels", "entropy", "nan", "depth", "width", "one_class"):
        draw, claims = getattr(lab_figures, name)(results, against, choice)
        where = "the lab's networks" if name == "nan" else ""
        _section(name, draw, claims, where=where, prefix="lab_")


def _section(
    name: str,
    draw: Callable[[], None],
    claims: Sequence[Claim],
    *,
    where: str = "",
    prefix: str = "",
) -> None:
    words = SECTIONS[name]
    place = f" <small>{escape(where)}</small>" if where else ""
    st.html(f"<h2 class='section'>{escape(words.title)}{place}</h2>")
    with st.container(key=f"theory_bench_{prefix}{name}"):
        left, right = st.columns([9, 11], gap="medium")
    with left:
        if prefix and name == "nan":
            st.markdown("The same comparison on the lab's networks, trained in three ways.")
        else:
            st.markdown(words.text)
            st.latex(words.equation)
            st.markdown(f"**What to look for.** {words.look}")
    with right:
        draw()
    if claims:
        st.html(_verdicts(claims))


def _verdicts(claims: Sequence[Claim]) -> str:
    items = []
    for claim in claims:
        kind, mark = _MARKS[claim.holds]
        items.append(
            f"<li class='{kind}'><i aria-hidden='true'>{mark}</i><div>"
            f"<b>{escape(claim.text)}</b><span>"
            f"<strong>{claim.verdict.capitalize()}</strong> · {escape(claim.measure)}: "
            f"<strong>{escape(claim.numbers)}</strong></span></div></li>"
        )
    return f"<ul class='checks verdicts'>{''.join(items)}</ul>"


def _about(hidden: HiddenClassifier) -> str:
    of = f"{hidden.n_units:,} units, {hidden.n_classes:,} classes, {len(hidden):,} ID images."
    parts = [of]
    if hidden.classes_used < hidden.n_classes:
        parts.append(f"Only each image's {hidden.classes_used} largest logits are compared.")
    row = hidden.summary()
    parts.append(
        f"Their mean approximation error is {row['approximation_error']:.4g}, their mean norm "
        f"{row['norm']:.4g}."
    )
    share = float(row["bias_share"])
    if share > 1e-6:
        parts.append(f"Biases add a part that the sum leaves out: {100 * share:.1f} % of the "
                     "logits' size.")  # fmt: skip
    ours = sorted(rule for rule, kind in hidden.rules.items() if kind == "extension")
    if ours:
        parts.append(f"Held constant, our extension of the paper's rule: {', '.join(ours)}.")
    if hidden.uncovered:
        parts.append(
            f"Without a rule: {', '.join(hidden.uncovered)}; the bias part holds the rest."
        )
    return " ".join(parts)


def _measure_panel(view: View) -> None:
    job = background.find_measurement(view.acts, view.layer)
    if job is not None and job.active:
        _watch("theory_measure_job", lambda: background.find_measurement(view.acts, view.layer),
               f"Measuring {view.layer}")  # fmt: skip
        return
    if job is not None and job.error:
        st.error(plain(job.error), icon=":material/error:")
    if view.experiment.classifier.features_only:
        st.info(
            "This needs gradients of the logits by the layer, and there is no network here: the "
            "experiment has features that were computed elsewhere. The penultimate layer needs "
            "none: choose it in the sidebar.",
            icon=":material/block:",
        )
        return
    with st.container(border=True):
        st.markdown(f"The hidden classifier of **{plain(view.layer)}** is not measured yet.")
        st.write(
            f"It takes a forward pass and one backward pass per class for {PER_SET} images of each "
            "set, once. The penultimate layer needs none: choose it in the sidebar to see the "
            "figure at once."
        )
        reason = not_measurable(view.acts)
        if reason:
            st.info(plain(reason), icon=":material/block:")
        st.button("Measure this layer", key="theory_measure", type="primary",
                  icon=":material/play_arrow:", on_click=_measure,
                  args=(view.acts, view.layer), disabled=bool(reason))  # fmt: skip


def _measure(acts: ActivationSet, layer: str) -> None:
    background.start_measurement(acts, layer)


@st.fragment(run_every=_NEW_RESULTS_EVERY)
def _watch(key: str, find: Callable[[], Job | None], title: str) -> None:
    job = find()
    if job is None or not job.active:
        st.rerun()
    with st.container(border=True):
        st.markdown(f"**{title}**")
        progress = job.progress
        st.progress(progress.fraction if progress else 0.0, text=progress_text(progress, job.state))
        st.button("Stop", key=f"{key}_stop", icon=":material/stop:", on_click=job.stop)
