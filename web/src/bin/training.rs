//! The program of the training worker: it holds the models that are trained in the page.

fn main() {
    web::training::worker::start();
}
