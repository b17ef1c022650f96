"""One experiment: what is asked for (options), the folder (store), the runs, the table, its summary, and a tuning."""
