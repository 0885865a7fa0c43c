"""REPORT: one page that shows what was trained, how well it does, and where it goes wrong; see `page.py`."""

from elman.report.page import POLICY, ReportData, make_page, page_header, whole_page, write_page, write_report

__all__ = ["POLICY", "ReportData", "make_page", "page_header", "whole_page", "write_page", "write_report"]
