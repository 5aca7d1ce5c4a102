vcl 4.1;
backend hub {
    .host = "{backend host}";
    .port = "{backend port}";
}
sub vcl_recv {
    if (req.url ~ "^/api/(ws|hub/session/[^/?]+/events)(\?|$)") {
        return (pipe);
    }
    if (req.http.x-agentuity-auth-api-key || req.http.Authorization) {
        return (pass);                         # or one key is answered what another has asked for
    }
}
sub vcl_pipe {
    if (req.http.Upgrade) {
        set bereq.http.Upgrade = req.http.Upgrade;
        set bereq.http.Connection = req.http.Connection;
    } else {
        set bereq.http.Connection = "close";   # what follows on the connection is no part of the pipe
    }
}
