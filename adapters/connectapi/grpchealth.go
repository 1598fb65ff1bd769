package connectapi

import (
	"context"
	"fmt"
	"slices"
	"time"

	"connectrpc.com/connect"

	healthv1 "lectern/adapters/connectapi/gen/grpc/health/v1"
	"lectern/adapters/connectapi/gen/grpc/health/v1/healthv1connect"
)

// grpcHealth serves grpc.health.v1.Health: every service is as ready as the
// server is.
type grpcHealth struct {
	services []string // that can be asked about; "" is the server
	ready    func(context.Context) error
	serving  serving
	interval time.Duration // between two looks of Watch
}

var _ healthv1connect.HealthHandler = grpcHealth{}

// Check implements healthv1connect.HealthHandler.
func (h grpcHealth) Check(
	ctx context.Context, req *connect.Request[healthv1.HealthCheckRequest],
) (*connect.Response[healthv1.HealthCheckResponse], error) {
	if name := req.Msg.GetService(); !slices.Contains(h.services, name) {
		return nil, connect.NewError(connect.CodeNotFound, fmt.Errorf("service %q is not served here", name))
	}
	return connect.NewResponse(&healthv1.HealthCheckResponse{Status: h.status(ctx)}), nil
}

// List implements healthv1connect.HealthHandler.
func (h grpcHealth) List(
	ctx context.Context, _ *connect.Request[healthv1.HealthListRequest],
) (*connect.Response[healthv1.HealthListResponse], error) {
	status := h.status(ctx)
	statuses := make(map[string]*healthv1.HealthCheckResponse)
	for _, name := range h.services {
		statuses[name] = &healthv1.HealthCheckResponse{Status: status}
	}
	return connect.NewResponse(&healthv1.HealthListResponse{Statuses: statuses}), nil
}

// Watch implements healthv1connect.HealthHandler: it sends the status, then
// each change of it. When the server stops it says so and ends.
func (h grpcHealth) Watch(
	ctx context.Context, req *connect.Request[healthv1.HealthCheckRequest], stream *connect.ServerStream[healthv1.HealthCheckResponse],
) error {
	status := h.status
	if !slices.Contains(h.services, req.Msg.GetService()) {
		status = func(context.Context) healthv1.HealthCheckResponse_ServingStatus {
			return healthv1.HealthCheckResponse_SERVICE_UNKNOWN
		}
	}
	tick := time.NewTicker(h.interval)
	defer tick.Stop()
	unready := h.serving.ready.Done()
	var last healthv1.HealthCheckResponse_ServingStatus // UNKNOWN, which is never a status here
	for {
		if now := status(ctx); now != last && ctx.Err() == nil {
			if err := stream.Send(&healthv1.HealthCheckResponse{Status: now}); err != nil {
				return fmt.Errorf("send status: %w", err)
			}
			last = now
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-h.serving.ctx.Done():
			return h.farewell(stream, last)
		case <-unready:
			unready = nil // tell it at once, and once
		case <-tick.C:
		}
	}
}

// farewell says that the server stops, unless that was the last word already.
func (h grpcHealth) farewell(
	stream *connect.ServerStream[healthv1.HealthCheckResponse], last healthv1.HealthCheckResponse_ServingStatus,
) error {
	if last == healthv1.HealthCheckResponse_SERVING {
		if err := stream.Send(&healthv1.HealthCheckResponse{Status: healthv1.HealthCheckResponse_NOT_SERVING}); err != nil {
			return fmt.Errorf("send status: %w", err)
		}
	}
	return errStopping
}

func (h grpcHealth) status(ctx context.Context) healthv1.HealthCheckResponse_ServingStatus {
	if h.ready(ctx) != nil {
		return healthv1.HealthCheckResponse_NOT_SERVING
	}
	return healthv1.HealthCheckResponse_SERVING
}
