"""What an error says of the names that are allowed."""

from __future__ import annotations

from ood_core.errors import did_you_mean


def test_a_few_names_are_all_listed() -> None:
    assert did_you_mean("nam", ["nan", "knn"]) == "Did you mean 'nan'? Available: knn, nan."
    assert did_you_mean("nam", []) == "Available: (none)."


def test_of_very_many_names_the_nearest_are_listed() -> None:
    names = [f"class {n}" for n in range(1000)]
    found = did_you_mean("clas 77", names)
    assert found.startswith("Did you mean 'class 77'? 1,000 are available, among them class 77,")
    assert found.count("class") == 11
