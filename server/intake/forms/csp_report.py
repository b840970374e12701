"""A violation of a Content-Security-Policy as `report-uri` sends it (CSP level 3, section 5.4).

Place: intake.forms.forms → HERE → intake.forms.reports.
Rule: the body is one report, whose type is said by its Content-Type alone.
Not here: how a report becomes an event (intake.forms.reports).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from server.intake.forms.form import Form
from server.intake.forms.reports import Reports

if TYPE_CHECKING:
    from server.config.settings import Config
    from server.intake.forms.form import SchemaHere


def form(config: Config, _schema: SchemaHere) -> Form:
    """How such a body is read."""
    return Form(unwrap=Reports(config.intake.reports).csp_piece)
