//! What the integration tests share: where files are.
