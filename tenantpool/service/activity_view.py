"""What a server says of its connections, as a message."""

from __future__ import annotations

from tenantpool.observe.activity import Activity, Backend
from tenantpool.v1 import admin_service_pb2 as pb

from .loan import seconds


def activity_view(activity: Activity) -> pb.GetActivityResponse:
    """The connections of a server, as those see them who may read statements."""
    return pb.GetActivityResponse(
        states=[
            pb.StateCount(state=state, ours=ours, others=others)
            for state, (ours, others) in activity.states.items()
        ],
        tenants=[pb.TenantActivity(tenant=name, states=at) for name, at in activity.tenants],
        longest=map(_backend, activity.longest),
        hidden=activity.is_hidden,
        problem=activity.problem,
    )


def _backend(backend: Backend) -> pb.Backend:
    return pb.Backend(
        pid=backend.pid,
        tenant=backend.tenant,
        dbname=backend.dbname,
        user=backend.user,
        state=backend.state,
        since=seconds(max(0.0, backend.since)),
        age=seconds(max(0.0, backend.age)),
        waits_for=backend.waits_for,
        statement=backend.statement,
    )
