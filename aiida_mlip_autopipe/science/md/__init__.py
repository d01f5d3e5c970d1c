"""What molecular dynamics that watches the extrapolation grade needs, whatever potential it runs with."""
