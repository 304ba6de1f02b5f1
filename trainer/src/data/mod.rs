//! Data sources: images with findings, reports, and pairs of both.
