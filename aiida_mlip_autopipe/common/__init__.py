"""What every layer may use: units, errors and the records that cross a layer. No AiiDA."""
