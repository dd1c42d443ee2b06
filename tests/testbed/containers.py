"""What a kubelet makes of a container's command and variables, for pods that are given a real process."""

from __future__ import annotations

import re

from testbed.kube import Obj


def environment(container: Obj) -> dict[str, str]:
    """Its variables; each may refer to those before it. Only plain values: nothing here reads Secrets or fields."""
    env: dict[str, str] = {}
    for each in container.get("env") or ():
        env[each["name"]] = expanded(each.get("value", ""), env)
    return env


def command(container: Obj, env: dict[str, str]) -> list[str]:
    """Its command line."""
    return [expanded(word, env) for word in (*container["command"], *(container.get("args") or ()))]


def expanded(text: str, env: dict[str, str]) -> str:
    """$(NAME) as Kubernetes fills it in; $$ is $."""
    return re.sub(r"\$\$|\$\(([A-Za-z_][A-Za-z0-9_]*)\)", lambda found: _one(found, env), text)


def _one(found: re.Match[str], env: dict[str, str]) -> str:
    return "$" if found[0] == "$$" else env.get(found[1], found[0])
