"""How long a slider and a switch take, beside a bare page, in one run. Prints both.

The limits proper (1.5 for a slider, 2 for a switch) are for a machine that does nothing else:
`benchmarks/dashboard.py`. Here only what a page that computes again would break fails the suite.
"""

from __future__ import annotations

from benchmarks.dashboard import measure_bare, measure_ours, report

RECOMPUTES = 4.0


def test_round_trips_beside_a_bare_page(
    browser, digits_home, tmp_path, monkeypatch, capsys
) -> None:
    monkeypatch.setenv("OOD_LENS_HOME", str(digits_home))
    bare = measure_bare(browser, tmp_path, 5)
    ours = measure_ours(browser, tmp_path, "digits", 5)
    again = measure_bare(browser, tmp_path, 5)
    bare = {key: max(bare[key], again[key]) for key in bare}
    with capsys.disabled():
        print("\n" + report(bare, ours, None))
    for name in ("threshold", "detector", "layer"):
        yard = bare["threshold" if name == "threshold" else "detector"]
        assert ours[name] <= RECOMPUTES * yard, f"{name}: {ours[name]:.2f} s, bare {yard:.2f} s"
