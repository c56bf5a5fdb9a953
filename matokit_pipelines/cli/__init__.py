"""The `matokit` command, one module a command group. Heavy imports happen inside the commands: help must be quick."""
