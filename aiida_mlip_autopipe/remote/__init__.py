"""What runs on the compute machine: it reads files, calls `science` and writes files. No AiiDA."""
