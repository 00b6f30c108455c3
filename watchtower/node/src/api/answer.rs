//! Refusals as HTTP has them: a code for machines, a sentence for people.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::error::ApiError;

/// A refused request.
#[derive(Debug)]
pub(crate) struct Refused(pub(crate) ApiError);

impl From<ApiError> for Refused {
    fn from(error: ApiError) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let ApiError { status, code, message } = self.0;
        let status = StatusCode::from_u16(status).unwrap_or(StatusCode::CONFLICT);
        let body = json!({"error": {"code": code, "message": message}});
        let mut response = (status, Json(body)).into_response();
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

pub(crate) fn unauthorised() -> ApiError {
    ApiError {
        status: 401,
        code: "unauthorised",
        message: "show the token from the file api.token in the node's folder".to_owned(),
    }
}

pub(crate) fn wrong_method() -> ApiError {
    ApiError {
        status: 405,
        code: "method",
        message: "this page takes another method: see /v1/openapi.json".to_owned(),
    }
}
