"""Works out which search parameters of R4 and R4B share index rows with R5: `docs/versions.md` describes it."""
