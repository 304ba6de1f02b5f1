//! The program of the worker: it alone holds a model.

fn main() {
    web::worker::run::start();
}
