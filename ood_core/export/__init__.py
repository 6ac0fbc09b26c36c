"""What leaves the dashboard: a recipe, a report, a program that only needs torch."""

from ood_core.export.program import ExportReport, export

__all__ = ["ExportReport", "export"]
