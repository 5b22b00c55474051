use super::engine::Engine;
pub fn router(_e: Engine, _l: &crate::config::Limits) -> axum::Router {
    axum::Router::new()
}
