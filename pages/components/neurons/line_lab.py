"""Upper half of the Neurons page: LINe's sliders, the contribution map, LINe against energy."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import streamlit as st

from ood_core.detectors import all_detectors
from ood_core.metrics.histograms import bin_scores
from ood_core.scoring.params import own_params
from pages.components.charts import threshold
from pages.components.kit import cache, prepare, state, words
from pages.components.kit.tables import wide_table
from pages.components.kit.view import View
from pages.components.neurons import contribution_map
from pages.components.neurons.selection import Settings, redraw_all, settings

if TYPE_CHECKING:
    from streamlit.delta_generator import DeltaGenerator

    from ood_core.neurons import LineLab, LineResult
    from ood_core.runtime.progress import Progress
    from pages.components.kit.assets import JsonObject

__all__ = ["draw", "lab_of", "level_of"]


def lab_of(view: View) -> LineLab:
    """LINe of this experiment and these OOD sets, ready for its sliders."""
    from ood_core.neurons import LineLab

    given = own_params(view.experiment, "line")
    exp, acts = view.experiment, view.acts
    key = ("line_lab", view.fingerprint, view.ood_sets, cache.frozen(given))
    with st.spinner("Contributions of every neuron to every class …"):
        return cache.once(
            key,
            lambda: LineLab(
                acts[exp.fit_set], acts, exp.test_set, view.ood_sets, acts.need_head(), given
            ),
        )


def _settings(view: View, lab: LineLab) -> Settings:
    """LINe's parameters: the visitor's, else the experiment's, else the published ones."""
    start = all_detectors()["line"].defaults() | own_params(view.experiment, "line")
    return (
        state.number("line_p_a", 0.0, 100.0, float(start["p_a"])),
        state.number("line_p_w", 0.0, 100.0, float(start["p_w"])),
        state.number("line_clip", 0.1, lab.clip_high, float(start["clip"])),
    )


def level_of(chosen: Settings) -> JsonObject:
    """The clip as a level to hold mean activations against."""
    return {"level": chosen[2], "level_text": f"clip δ = {chosen[2]:g}"}


def _moved() -> None:
    """Redraw what a slider moves; mean activations show the clip alone and follow by themselves."""
    if state.kept("neurons_view", "mean") != "mean":
        redraw_all()


def draw(view: View, lab: LineLab) -> None:
    """Sliders, rates, map and histograms."""
    chosen = _settings(view, lab)
    with st.container(horizontal=True, vertical_alignment="bottom", gap="medium"):
        for name, what, text in _REMOVE:
            st.slider(what, 0.0, 100.0, step=1.0, key=name, format="%.0f", help=text,
                      on_change=_moved)  # fmt: skip
        st.slider("Clip activations at (δ)", 0.1, lab.clip_high, step=0.1, key="line_clip",
                  format="%.1f", help="δ: activations above it are cut to it.",
                  on_change=_moved)  # fmt: skip
        words.score("line")
    state.notes()
    rates = st.empty()
    with st.container(key="bench"):
        left, right = st.columns([7, 3], gap="medium")
    with right:
        beside = st.empty()
    result = _rescored(view, lab, chosen, rates, beside)
    _show(view, result, rates, beside, "line")
    with left:
        contribution_map.draw(view, lab, chosen)


def _rescored(
    view: View, lab: LineLab, chosen: Settings, rates: DeltaGenerator, beside: DeltaGenerator
) -> LineResult:
    """Result of the settings. Where it takes seconds: a preview first, then progress."""
    if not lab.is_slow or lab.known(*chosen) is not None:
        return lab.rescore(*chosen)
    _show(view, lab.rescore(*chosen, limit=lab.preview_size), rates, beside, "preview")
    bar = st.progress(0.0, text="Scoring every image …")

    def report(progress: Progress) -> None:
        bar.progress(progress.fraction, text=prepare.progress_text(progress))

    result = lab.rescore(*chosen, progress=report)
    bar.empty()
    return result


def _show(
    view: View, result: LineResult, rates: DeltaGenerator, beside: DeltaGenerator, key: str
) -> None:
    rates.html(_headline(result))
    scored = ("panels", view.fingerprint, view.ood_sets, result.n_scored)
    energy = cache.once(scored, lambda: _panel(view, result, "energy"))  # no slider moves it
    panels = [_panel(view, result), energy]
    data: JsonObject = {"name": "line-and-energy", "height": 200, "panels": panels}
    data["tells"] = level_of(settings())
    with beside.container(gap="xxsmall"):
        threshold.densities(f"{key}_histogram", data)
        st.html(_table(view, result))


def _panel(view: View, result: LineResult, score: str = "line") -> JsonObject:
    """Histogram of one score with the cut that accepts 95 % of the ID images."""
    id_name, title = view.experiment.test_set, {"line": "LINe", "energy": "Energy"}[score]
    sets = dict(getattr(result, score))
    cut, inside = result.thresholds[score], sets.pop(id_name)
    bins = bin_scores(inside, sets, 50, id_name)
    return {
        "name": score,
        "title": f"{title}: ID against OOD",
        "x_title": f"{title} score, higher is more ID",
        "edges": bins.edges.tolist(),
        "sets": [
            {
                "name": view.label(name),
                "colour": view.colour(name),
                "n": int(counts.sum()),
                "bins": counts.tolist(),
            }
            for name, counts in bins.counts.items()
        ],
        "cut_at": bins.place(cut),
        "cut_text": f"cut {cut:.4g}".replace("-", "−"),
    }


def _headline(result: LineResult) -> str:
    m, n = result.mean, len(result.rates)
    against = f"mean of {n} OOD sets" if n > 1 else "one OOD set"
    facts = {
        f"AUROC, {against}": _both(m["auroc"], m["energy_auroc"], "energy "),
        "FPR95, ID positive": _both(m["fpr95"], m["energy_fpr95"], "energy "),
        "ID images whose class changes by clipping": f"{100 * result.rerouted:.1f} %",
    }
    if result.is_preview:
        facts["Preview, the rest follows"] = f"{result.n_scored:,} of {result.n_total:,} images"
    items = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in facts.items())
    return f"<dl class='facts'>{items}</dl>"


def _both(line: float, energy: float, what: str = "") -> str:
    quiet = f"<span style='opacity:.72;font-weight:400'>({what}{100 * energy:.2f})</span>"
    return f"{100 * line:.2f} {quiet}"


def _table(view: View, result: LineResult) -> str:
    rows = "".join(
        f"<tr><td><i class='chip' style='background:{view.colour(r['ood_set'])}'></i>"
        f"{escape(r['ood_set'])}</td><td>{_both(r['auroc'], r['energy_auroc'])}</td>"
        f"<td>{_both(r['fpr95'], r['energy_fpr95'])}</td></tr>"
        for r in result.rates.to_dict("records")
    )
    head = "<th>LINe (energy), %</th><th>AUROC</th><th>FPR95</th>"
    return wide_table(
        f"<table class='figures'><tr>{head}</tr>{rows}</table>", "LINe against energy"
    )


_REMOVE = (
    (
        "line_p_a",
        "Neurons removed, % (p_a)",
        "p_a: per class, the neurons whose contribution lies up to this percentile go; 90 keeps "
        "the tenth that contributes most.",
    ),
    (
        "line_p_w",
        "Weights removed, % (p_w)",
        "p_w: per class, the last layer's weights whose contribution lies up to this percentile "
        "go.",
    ),
)
