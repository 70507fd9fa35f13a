"""The report: released figures as one page and as charts."""
