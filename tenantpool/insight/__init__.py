"""Query insight: slow and repeated statements, plans in words, leases that last too long.

    from tenantpool.insight import Insight, Options

    insight = Insight(Options(slow=0.2))
    leases = LeaseClient("unix:/run/tenantpool", insight=insight)
    ...
    for finding in insight.findings("acme"):
        print(finding)

A manager makes its own, where the section ``insight`` of its configuration says so.
"""

from tenantpool.insight.finding import Counts, Finding
from tenantpool.insight.insight import Insight
from tenantpool.insight.options import Options
from tenantpool.insight.plan import Remark, read_plan
from tenantpool.insight.shape import shape_of

__all__ = ["Counts", "Finding", "Insight", "Options", "Remark", "read_plan", "shape_of"]
