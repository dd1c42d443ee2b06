"""The table of routers. Adding one is adding a row here, and a golden file in `tests/act/golden/<its name>/`."""

from __future__ import annotations

from dataclasses import replace

from syncrollout.act.paths import parse
from syncrollout.act.routers.row import Coding, Need, Router, alone, pair

_NGINX = "nginx.ingress.kubernetes.io"
_ALB = "alb.ingress.kubernetes.io"
_SKIPPER = "zalando.org/backend-weights"
_BACKENDS = parse("spec.rules[*].http.paths[*].backend.service.name")
_SERVICE = {"kind": "Service", "namespace": "$namespace"}
_HTTP_ROUTE = Router(
    name="HTTPRoute",
    groups=("gateway.networking.k8s.io",),
    kind="HTTPRoute",
    resource="httproutes",
    places=(pair("spec.rules[*].backendRefs[name=$side].weight"),),
    absent=1,  # by the Gateway API specification
    # a backendRef may also name a ServiceImport, or a Service of another namespace, that happens to be called the same
    entry={"group": "", **_SERVICE},
)
_TRAEFIK = Router(
    places=(pair("spec.routes[*].services[name=$side].weight"),),
    name="Traefik IngressRoute",
    groups=("traefik.io", "traefik.containo.us"),
    kind="IngressRoute",
    resource="ingressroutes",
    absent=1,
    entry=_SERVICE,
    rule="route",
)
_KNATIVE = Router(
    name="Knative Service",
    groups=("serving.knative.dev",),
    kind="Service",
    resource="services",
    places=(pair("spec.traffic[revisionName=$side].percent"),),
    whole=True,
    absent=0,
    rule="list of targets",
    notes=(
        "`spec.old.service` and `spec.new.service` are the names of the two Revisions: Knative makes a "
        "Service of the same name for each. A target of `latestRevision: true` is neither old nor new; what "
        "it has is kept, old and new share the rest."
    ),
)
_GLOO = "routeAction.multi.destinations[destination.kube.ref.name=$side].weight"

ROUTERS: tuple[Router, ...] = (
    _HTTP_ROUTE,
    replace(_HTTP_ROUTE, name="GRPCRoute", kind="GRPCRoute", resource="grpcroutes"),
    replace(_HTTP_ROUTE, name="TLSRoute", kind="TLSRoute", resource="tlsroutes"),
    replace(_HTTP_ROUTE, name="TCPRoute", kind="TCPRoute", resource="tcproutes"),
    replace(_HTTP_ROUTE, name="UDPRoute", kind="UDPRoute", resource="udproutes"),
    Router(
        name="Istio VirtualService",
        groups=("networking.istio.io",),
        kind="VirtualService",
        resource="virtualservices",
        places=tuple(pair(f"spec.{kind}[*].route[destination.host~=$side].weight") for kind in ("http", "tcp", "tls")),
        whole=True,
        absent=0,
        entry={"destination.subset": "$subset"},
        rule="route",
        notes=(
            "Releases of today compare weights only; earlier ones refuse another sum. "
            "The host may be the Service's name alone, `name.namespace`, or the full name in the cluster's "
            "domain. Where old and new are two subsets of one host, give that Service for both and say which "
            "subset is which: `subsets: {old: v1, new: v2}` in the reference. Without it subsets are not looked "
            "at, and a route that names a host twice is refused."
        ),
    ),
    Router(
        name="ingress-nginx canary",
        groups=("networking.k8s.io",),
        kind="Ingress",
        resource="ingresses",
        places=(alone(f'metadata.annotations["{_NGINX}/canary-weight"]'),),
        total_at=parse(f'metadata.annotations["{_NGINX}/canary-weight-total"]'),
        absent=0,
        coding=Coding.TEXT,
        needs=(
            Need(
                parse(f'metadata.annotations["{_NGINX}/canary"]'),
                "true",
                f'a canary Ingress needs the annotation {_NGINX}/canary: "true", or the controller does not look at '
                "its weight",
            ),
            Need(
                _BACKENDS,
                "$new",
                "every backend of a canary Ingress must be the Service of new, for the weight is that of the whole "
                "Ingress",
            ),
        ),
        marked=f"{_NGINX}/canary",
        prefix=_NGINX,
        notes=(
            "The reference names the canary Ingress, the one that leads to new; the Ingress of old stays as it "
            "is. `canary-by-header` and `canary-by-cookie` go before the weight: who sends them reaches new at "
            "any weight, at 0 too. A controller that was started with `--annotations-prefix` is followed with "
            "`annotationPrefix` in the reference."
        ),
    ),
    replace(
        _TRAEFIK,
        name="Traefik TraefikService",
        kind="TraefikService",
        resource="traefikservices",
        places=(
            pair("spec.weighted.services[name=$side].weight"),
            pair("spec.highestRandomWeight.services[name=$side].weight"),
        ),
        rule="list of services",
    ),
    _TRAEFIK,
    replace(_TRAEFIK, name="Traefik IngressRouteTCP", kind="IngressRouteTCP", resource="ingressroutetcps"),
    replace(_TRAEFIK, name="Traefik IngressRouteUDP", kind="IngressRouteUDP", resource="ingressrouteudps"),
    Router(
        name="Contour HTTPProxy",
        groups=("projectcontour.io",),
        kind="HTTPProxy",
        resource="httpproxies",
        places=(
            pair("spec.routes[*].services[name=$side].weight"),
            pair("spec.tcpproxy.services[name=$side].weight"),
        ),
        absent=0,
        even=True,
        entry={"mirror": False},
        rule="route",
        notes=("A service with `mirror: true` is neither old nor new: its weight is what is mirrored."),
    ),
    Router(
        name="APISIX ApisixRoute",
        groups=("apisix.apache.org",),
        kind="ApisixRoute",
        resource="apisixroutes",
        places=(pair("spec.http[*].backends[serviceName=$side].weight"),),
        absent=100,
    ),
    Router(
        name="SMI TrafficSplit",
        groups=("split.smi-spec.io",),
        kind="TrafficSplit",
        resource="trafficsplits",
        places=(pair("spec.backends[service=$side].weight"),),
        coding=Coding.QUANTITY,
        rule="split",
        notes=(
            "In `v1alpha1` a weight is a Quantity: `500m` is read, and whole numbers are written, as text if it was."
        ),
    ),
    Router(
        name="OpenShift Route",
        groups=("route.openshift.io",),
        kind="Route",
        resource="routes",
        places=(pair("spec.to[name=$side].weight", "spec.alternateBackends[name=$side].weight"),),
        absent=100,
        rule="Route",
        notes=("Old or new may stand in `spec.to`. Of the scale of 0 to 256 the numbers 0 to 100 are used."),
    ),
    Router(
        name="AWS load balancer",
        groups=("networking.k8s.io",),
        kind="Ingress",
        resource="ingresses",
        places=(
            pair(
                f'metadata.annotations["{_ALB}/actions."*][json].forwardConfig.targetGroups[serviceName=$side].weight'
            ),
            pair(
                f'metadata.annotations["{_ALB}/actions."*][json].ForwardConfig.TargetGroups[ServiceName=$side].Weight'
            ),
        ),
        marked=f"{_ALB}/actions.",
        prefix=_ALB,
        rule="action",
        notes=(
            "Every action that names both Services is moved; others are not touched. In its text only the digits "
            "of the weights change. A controller that was started with `--annotations-prefix` is followed with "
            "`annotationPrefix` in the reference."
        ),
    ),
    Router(
        name="Gloo RouteTable",
        groups=("gateway.solo.io",),
        kind="RouteTable",
        resource="routetables",
        places=(pair(f"spec.routes[*].{_GLOO}"),),
        entry={"destination.kube.ref.namespace": "$namespace"},
        rule="route",
        notes=("Destinations that name an Upstream instead of a Kubernetes Service are not looked at."),
    ),
    Router(
        name="Gloo VirtualService",
        groups=("gateway.solo.io",),
        kind="VirtualService",
        resource="virtualservices",
        places=(pair(f"spec.virtualHost.routes[*].{_GLOO}"),),
        entry={"destination.kube.ref.namespace": "$namespace"},
        rule="route",
    ),
    Router(
        name="Emissary Mapping",
        groups=("getambassador.io",),
        kind="Mapping",
        resource="mappings",
        places=(alone("spec[service~=$new].weight"),),
        rule="Mapping",
        notes=(
            "The reference names the canary Mapping, the one whose `spec.service` is new. The Mapping of old must "
            "have no weight: it gets what the others leave."
        ),
    ),
    _KNATIVE,
    replace(_KNATIVE, name="Knative Route", kind="Route", resource="routes"),
    Router(
        name="Skipper",
        groups=("networking.k8s.io",),
        kind="Ingress",
        resource="ingresses",
        places=(pair(f'metadata.annotations["{_SKIPPER}"][json].$side'),),
        even=True,
        needs=tuple(
            Need(_BACKENDS, side, f"the Ingress must have the Service of {side[1:]} as a backend", every=False)
            for side in ("$old", "$new")
        ),
        marked=_SKIPPER,
        rule=f"annotation {_SKIPPER}",
        notes=(
            "Both Services must stand in the annotation and as backends of the same paths. In its text only the "
            "digits of the weights change."
        ),
    ),
)
"""By API group and kind; every version of a group keeps its weights at the same place."""
