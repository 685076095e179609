# Every task of the project. `just` alone lists them.

_default:
    @just --list --unsorted

# Serve on port 8000 with an embedded database in ./data
run *args:
    cargo run --release -- {{ args }}

# All tests, on every backend; installs the servers they need when they are missing
test *args:
    ./scripts/test {{ args }}

# The tests that need no server: seconds
unit:
    cargo test --locked -p pulsestream-domain -p pulsestream-ingestion
    cargo test --locked -p pulsestream-rate-limit --no-default-features

# Break everything on purpose and count what was lost: `just torture --short`, `--minutes 30 --write`, `--only T1a,T3`
torture *args:
    ./scripts/torture {{ args }}

# Servers that do one thing wrong, each of which has to be caught
mutants *args:
    ./scripts/torture mutants {{ args }}

# Requests made out of the OpenAPI document, and every answer held against it: `just schemathesis -n 200 --seed 7`
schemathesis *args:
    ./scripts/schemathesis {{ args }}

# Format everything
fmt:
    cargo fmt --all

# What the linter has to say, as strictly as CI
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets --all-features -- -D warnings

# The documentation of every crate
doc:
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

# Import an access log (the real one, when it lies beside the repository) and compare every count
real-input:
    ./scripts/test --test it -- access_log

# The side-by-side benchmark; writes docs/benchmarks.md
bench *args:
    ./scripts/bench {{ args }}

# Licences, sources and duplicate versions of the dependencies (needs cargo-deny)
deny:
    cargo deny --locked check bans licenses sources

# Exactly what CI runs
ci:
    ./.ci/run
