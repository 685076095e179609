//! One address and what answers there.

use actix_web::{
    Handler, Responder, Route, guard,
    http::{Method, header::HeaderValue},
    web::{self, ServiceConfig},
};

use crate::error::ApiError;

/// The address as documentation, logs and metrics show it.
#[derive(Clone, Copy)]
pub(crate) struct Template(pub(crate) &'static str);

/// An address with its methods. Any other method is answered 405 with those that there are.
pub(crate) struct Endpoint {
    template: &'static str,
    pattern: &'static str,
    methods: Vec<(Method, Route)>,
    left_to_others: &'static [Method],
}

impl Endpoint {
    /// An endpoint at this address; `{name}` stands for one segment.
    pub(crate) fn at(template: &'static str) -> Self {
        Self { template, pattern: template, methods: Vec::new(), left_to_others: &[] }
    }

    /// Says in the router's language which paths are meant, where the template does not say it all.
    pub(crate) fn with_pattern(mut self, pattern: &'static str) -> Self {
        self.pattern = pattern;
        self
    }

    /// Leaves these methods to a later endpoint whose pattern matches the same paths. `Allow` has only the methods of
    /// this one, as its documentation does.
    pub(crate) fn leaving(mut self, methods: &'static [Method]) -> Self {
        self.left_to_others = methods;
        self
    }

    /// Answers GET, and HEAD with the same headers.
    pub(crate) fn get<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::GET, handler)
    }

    /// Answers POST.
    pub(crate) fn post<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::POST, handler)
    }

    /// Answers PUT.
    pub(crate) fn put<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::PUT, handler)
    }

    /// Answers DELETE.
    pub(crate) fn delete<F, Args>(self, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.on(Method::DELETE, handler)
    }

    fn on<F, Args>(mut self, method: Method, handler: F) -> Self
    where
        F: Handler<Args>,
        Args: actix_web::FromRequest + 'static,
        F::Output: Responder + 'static,
    {
        self.methods.push((method, web::route().to(handler)));
        self
    }

    /// The address and the methods, to compare with the documentation.
    #[cfg(test)]
    pub(crate) fn listed(&self) -> Vec<(Method, &'static str)> {
        self.methods.iter().map(|(method, _)| (method.clone(), self.template)).collect()
    }

    /// Adds the endpoint to an app.
    pub(crate) fn register(self, config: &mut ServiceConfig) {
        let allow = self.allow();
        let mut resource = web::resource(self.pattern).name(self.template).app_data(Template(self.template));
        if !self.left_to_others.is_empty() {
            let left = self.left_to_others;
            resource = resource.guard(guard::fn_guard(move |context| !left.contains(&context.head().method)));
        }
        for (method, route) in self.methods {
            let route = match method {
                Method::GET => route.guard(guard::Any(guard::Get()).or(guard::Head())),
                method => route.guard(guard::Method(method)),
            };
            resource = resource.route(route);
        }
        let refuse = move || {
            let allow = allow.clone();
            async move { Err::<String, _>(ApiError::MethodNotAllowed { allow }) }
        };
        config.service(resource.default_service(web::to(refuse)));
    }

    fn allow(&self) -> HeaderValue {
        let names = self.methods.iter().flat_map(|(method, _)| match *method {
            Method::GET => vec!["GET", "HEAD"],
            ref other => vec![other.as_str()],
        });
        let names = names.collect::<Vec<_>>().join(", ");
        HeaderValue::from_str(&names).expect("method names are printable ASCII")
    }
}
