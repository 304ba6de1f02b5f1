//! The program `cmim`.

fn main() {}
