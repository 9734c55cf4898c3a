# Shorthands. Each is one cargo command; `just` itself is needed for nothing.

# list the recipes
default:
    @just --list

# everything that CI runs
test *ARGS:
    cargo xtask test {{ARGS}}

# full counts and the tests marked `long:`; before landing
long:
    cargo xtask test --long

# the figures of docs/reference/performance.md; `just figures import` for one table
figures *ARGS:
    cargo xtask figures {{ARGS}}

# architecture, words, sizes, links
tidy:
    cargo xtask tidy

# format the code
fmt:
    cargo fmt --all

# the whole story in a minute: in by SCIM, out by SCIM, nothing left
demo *ARGS:
    cargo run --release -- demo {{ARGS}}

# the product, on SQLite in ./portcullis-data
serve *ARGS:
    cargo run --release -- serve {{ARGS}}
