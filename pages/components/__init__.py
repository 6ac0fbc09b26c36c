"""Streamlit code that pages share. How to make a page in one file.

A page is one numbered file in `pages/`; it appears in the page list by itself. It selects, calls
`ood_core` and draws; it computes nothing::

    import streamlit as st

    from pages.components.charts import figures, gallery
    from pages.components.kit import cache, frame, state, words

    view = frame.open_page("Layers", "At which layer does NAN tell ID from OOD?")

    @st.fragment                       # a slider's release redraws only its own fragment
    def curves() -> None:
        state.number("window", 1, 9, 3)            # value from URL, else last one, else 3
        st.slider("Window", 1, 9, key="window")    # no default here: state has set it
        table = cache.once(                        # once per process, by fingerprint
            ("layers", view.fingerprint, view.ood_sets),
            lambda: layers.by_depth(view.acts, view.ood_sets),
        )
        figures.show(plots.layers.curves(table), "curves", data=table, name="layers")
        state.publish()                            # the URL follows

    curves()

`view` (`view.View`)
    `.experiment`, `.acts` (set name -> Activations, `.acts.head`, `.acts.layers`), `.layer`,
    `.ood_sets`, `.detector`, `.params`, `.fingerprint`, `.class_names`, `.colour(set)`;
    `.scores(detector=None, params=None, layer=None)` -> ScoreSet, cached. When nothing is
    prepared, `open_page` draws the panel that prepares it and stops. `open_page(...,
    prepared=False)` goes on with `view.acts` None.
`state`
    `choose(name, options, default)`, `choose_many(...)`, `number(name, low, high, default)`
    return a valid value and set it up for the widget with `key=name`, kept across pages;
    `span(name, low, high)` for a range, `text(name)` for free text. Values that no widget holds:
    `remember(name, value)`, `kept(name, default)`, `forget(name)`; from a callback `put(name,
    value)`. `publish()` after them writes the URL; a choice at its default stays out of it. A
    bad URL value becomes a note (`notes()` draws those of your own choices) and the default.
`cache.once(key, make)`
    Everything computed goes through it. Keys hold names, `view.fingerprint`, parameters
    (`cache.frozen(params)`): never arrays. Values are shared by visitors: do not change them
    (copy a figure before `update_layout`).
`figures.show(fig, key, data=df, name=…, alt=…, height=…, on_select=…)`
    Chart with SVG and CSV download.
`gallery.show(view, rows, key)`
    `rows`: data frame with `set`, `index`, and `score`, `prediction`, `percentile` if known.
    One element with grid and pager; `tabs=` puts several galleries into it.
`explain.score(detector, params)`, `explain.metric("AUROC", "FPR95")`, `explain.words(text)`
    Explanation behind an icon; `explain.warnings(sentences)` for what a score warns of.
`inline.component(folder, name)`
    A Streamlit v2 component from `name`.html, .css and .js: no build step.

What makes a redraw fast: few elements (each is a message), data that does not grow with the
number of images, and fragments: what is drawn outside the fragment that reruns is not sent again.
`workbench.draw` shows it: histogram and curves are sent once and follow in the browser.

An `OODLensError` is a message, never a traceback: draw inside `with told():`, and put `@told()`
below each `@st.fragment` (`messages.told`). `view.scores` raises one where a detector cannot run.
"""
