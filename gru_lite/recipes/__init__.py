"""What a run is configured with: `configs.Recipe` decides; published/ and tuned/ hold the values as data."""
