//! The door and the pages: routes, layers, API, server-rendered pages, streams. The only room that names axum and askama.

pub mod assets;
pub mod pages;
pub mod shared;
pub mod state;
