"""What a job runs on the compute machine: `mlip-worker STAGE` reads files, calls science, writes files. No AiiDA."""
