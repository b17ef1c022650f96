"""One experiment: options, plan and runs, the folder (store), the table and its report, and a tuning."""
