"""The two sync systems that the demo migrates between: small, real, and able to misbehave when told to."""
