package main

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/agentuity/coder-go/codertest"
)

// asProgram says that this process is the doctor, not its tests.
const asProgram = "CODER_GO_TEST_AS_DOCTOR"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
		return
	}
	os.Exit(m.Run())
}

// TestASecondInterruptEndsAtOnce lets a Hub answer no delete, interrupts the doctor while it has a session to take away,
// and again when it says that it does.
func TestASecondInterruptEndsAtOnce(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("no signal can be sent to another process there")
	}
	for name, signal := range map[string]os.Signal{"Ctrl-C": os.Interrupt, "kill": syscall.SIGTERM} {
		t.Run(name, func(t *testing.T) {
			created, deleting := make(chan struct{}, 100), make(chan struct{}, 100)
			hub := codertest.NewHub(codertest.WithAPIKey(testKey), codertest.WithMiddleware(func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					switch {
					case r.Method == http.MethodDelete:
						deleting <- struct{}{}
						<-r.Context().Done()
						return
					case r.Method == http.MethodGet && r.URL.Query().Get("search") != "": // it waits to be found
						created <- struct{}{}
						<-r.Context().Done()
						return
					}
					next.ServeHTTP(w, r)
				})
			}))
			defer hub.Close()
			executable, err := os.Executable()
			require.NoError(t, err)
			program := exec.CommandContext(t.Context(), executable, "-write")
			program.Env = append(os.Environ(), asProgram+"=1", "AGENTUITY_SDK_KEY="+testKey, "AGENTUITY_CODER_URL="+hub.URL())
			program.Stdout = io.Discard
			stderr, err := program.StderrPipe()
			require.NoError(t, err)
			require.NoError(t, program.Start())
			<-created
			require.NoError(t, program.Process.Signal(signal))
			said, err := bufio.NewReader(stderr).ReadString('\n')
			require.NoError(t, err)
			assert.Contains(t, said, "cleaning up")
			assert.Contains(t, said, "once more ends it at once")
			<-deleting
			require.NoError(t, program.Process.Signal(signal))
			var exit *exec.ExitError
			require.ErrorAs(t, program.Wait(), &exit)
			assert.Equal(t, -1, exit.ExitCode(), "the signal ended it")
		})
	}
}

// TestNothingIsSaidOfASignalThatDidNotCome: the context ends at the end of the program, too.
func TestNothingIsSaidOfASignalThatDidNotCome(t *testing.T) {
	var errs strings.Builder
	ctx, end := interruptible(t.Context(), &errs)
	end()
	<-ctx.Done()
	assert.Empty(t, errs.String())
}

func TestInterruptedBeforeTheFirstAnswer(t *testing.T) {
	for name, set := range map[string]func(*surroundings, func()){
		"while a name is looked up": func(s *surroundings, interrupt func()) {
			s.resolve = func(ctx context.Context, _ string) (int, error) {
				interrupt()
				<-ctx.Done()
				return 0, ctx.Err()
			}
		},
		"while it connects": func(s *surroundings, interrupt func()) {
			s.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				interrupt()
				<-r.Context().Done()
				return nil, r.Context().Err()
			})
		},
		"with an error of another kind": func(s *surroundings, interrupt func()) {
			s.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				interrupt()
				<-r.Context().Done()
				return nil, errors.New("use of closed network connection")
			})
		},
		"while the key is tried": func(s *surroundings, interrupt func()) {
			honest := s.transport
			s.transport = roundTrip(func(r *http.Request) (*http.Response, error) {
				if strings.HasSuffix(r.URL.Path, "/hub/sessions") {
					interrupt()
					<-r.Context().Done()
				}
				return honest.RoundTrip(r)
			})
		},
	} {
		for _, env := range []map[string]string{account(), {"AGENTUITY_SDK_KEY": testKey, "AGENTUITY_CATALYST_URL": "http://" + testHost}} {
			t.Run(name, func(t *testing.T) {
				environ(t, env)
				synctest.Test(t, func(t *testing.T) {
					hub := codertest.NewHub(codertest.WithInMemoryNetwork(), codertest.WithAPIKey(testKey))
					defer hub.Close()
					between := &surroundings{transport: hub.HTTPClient().Transport, proxy: noProxy, resolve: oneAddress}
					ctx, cancel := context.WithCancel(t.Context())
					set(between, cancel)
					status, out := called(ctx, t, between)
					assert.Equal(t, interrupted, status)
					assert.Contains(t, line(out, Wrong, "doctor"), "interrupted")
					assert.Equal(t, 1, strings.Count("\n"+out, "\n"+string(Wrong)), "nothing else is wrong:\n%s", out)
				})
			})
		}
	}
}
