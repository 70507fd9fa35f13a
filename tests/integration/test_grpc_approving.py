"""A policy that takes approvals over gRPC alone: the command line and `local` approve nothing."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path

import grpc

from profiles.v1 import privacy_service_pb2 as pb
from profiles.v1.privacy_service_pb2_grpc import PrivacyServiceStub
from profiles.v1.profile_service_pb2 import Subject, SubjectIdentifier
from tests.support.command_line import CommandLine, as_lines, login
from tests.support.grpc_calls import told

ROOT = Path(__file__).parents[2]
TOKEN = "the officer's own token"  # noqa: S105 - it opens nothing
OFFICER = (("authorization", f"Bearer {TOKEN}"),)
CALLER = f"""
[callers.officer]
token_sha256 = "{sha256(TOKEN.encode()).hexdigest()}"
may = ["approves requests"]
staff = ["dpo"]
"""


def test_approvals_count_over_grpc_alone(tmp_path: Path) -> None:
    """Whoever has the home folder takes in and carries out, and cannot approve as well."""
    shipped = (ROOT / "kinfold" / "default_policy.toml").read_text("utf-8")
    asked = shipped.replace("package_days = 14\n", 'package_days = 14\napprove_over = "grpc"\n')
    (tmp_path / "policy.toml").write_text(asked + CALLER, "utf-8")
    line = CommandLine(tmp_path, {"KINFOLD_HOME_POLICY": str(tmp_path / "policy.toml")})
    line.does("ingest", "-", given=as_lines(login(1, ("login", "ann"))))
    ann = Subject(identifier=SubjectIdentifier(kind="login", value="ann"))
    approve = pb.ApproveRequest(request_id="r-1", staff="dpo")
    with line.serving() as address, grpc.insecure_channel(address) as channel:
        stub = PrivacyServiceStub(channel)
        stub.Submit(
            pb.SubmitRequest(
                request_id="r-1", kind="erasure", subject=ann, level="authenticated", staff="desk"
            )
        )
        assert told(lambda: stub.Approve(approve)).reason == "APPROVAL_OVER_GRPC"
        refused = line.fails(1, "privacy", "approve", "r-1", "--staff", "dpo")
        assert "(APPROVAL_OVER_GRPC)" in refused.err
        assert stub.Approve(approve, metadata=OFFICER).request.state == "approved"
        run = pb.RunRequest(request_id="r-1", staff="desk")
        assert stub.Run(run).request.state == "done"
