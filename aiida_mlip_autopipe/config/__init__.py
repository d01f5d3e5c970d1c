"""Settings as strict pydantic models: unit and bounds on every field, one clear sentence for each mistake. No AiiDA."""
