"""An API server that knows people by their tokens, and what each may do."""

from __future__ import annotations

from fakes.kube import FakeKube
from syncrollout.ports import ApiError, Object, ObjectRef, Turn


class Reviewer(FakeKube):
    """`people`: token -> user name. `rights`: of each user name, as `verb resource/subresource namespace`, or `get
    /path`; a namespace of `*` is all."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[str, str] = {}
        self.rights: dict[str, set[str]] = {}
        self.asked: list[str] = []
        self.trouble: ApiError | None = None

    async def create(self, ref: ObjectRef, body: Object, *, turn: Turn = Turn.FIRST, dry_run: bool = False) -> Object:
        """See the port."""
        self.asked.append(ref.kind.kind)
        if self.trouble is not None:
            raise self.trouble
        spec = body["spec"]
        if ref.kind.kind == "TokenReview":
            name = self.people.get(spec["token"])
            user = {"username": name, "groups": ["system:authenticated"], "extra": {"a": ["b"]}}
            return {"status": {"authenticated": True, "user": user} if name else {"user": {}}}
        assert spec["groups"] == ["system:authenticated"]
        mine = self.rights.get(spec["user"], set())
        if "nonResourceAttributes" in spec:
            where = spec["nonResourceAttributes"]
            return {"status": {"allowed": f"{where['verb']} {where['path']}" in mine}}
        where = spec["resourceAttributes"]
        what = f"{where['verb']} {where['resource']}" + (f"/{where['subresource']}" if "subresource" in where else "")
        allowed = f"{what} *" in mine or f"{what} {where.get('namespace')}" in mine
        return {"status": {"allowed": allowed}}
