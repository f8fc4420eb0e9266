//! The metrics page: `GET /metrics`, in the text format of Prometheus.
//!
//! No metric names a person.

use metrics_exporter_prometheus::PrometheusHandle;
use poem::endpoint::make_sync;
use poem::http::header;
use poem::{Response, Route, get};

/// The path of the metrics.
pub const PATH: &str = "/metrics";

/// Adds the metrics to the routes.
#[must_use]
pub fn add_routes(route: Route, metrics: PrometheusHandle) -> Route {
    let page = make_sync(move |_| {
        Response::builder()
            .content_type("text/plain; version=0.0.4; charset=utf-8")
            .header(header::CACHE_CONTROL, "no-store")
            .body(metrics.render())
    });
    route.at(PATH, get(page))
}
