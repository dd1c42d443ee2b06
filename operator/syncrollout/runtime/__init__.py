"""The running operator: queue, reconciler, lease, settings, health; the only importer of kopf."""
