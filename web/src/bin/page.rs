//! The program of the page itself.

fn main() {
    web::app::start();
}
