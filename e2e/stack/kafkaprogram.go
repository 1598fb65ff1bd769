package stack

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// kafkaPOM names Kafka's artifacts. Maven knows where they are, and what these need.
//
//go:embed kafka.pom.xml
var kafkaPOM []byte

const (
	kafkaVersion     = "4.1.1" // as in kafka.pom.xml
	mavenCopyAll     = "org.apache.maven.plugins:maven-dependency-plugin:3.9.0:copy-dependencies"
	kafkaLogSettings = `log4j.rootLogger=WARN, stderr
log4j.appender.stderr=org.apache.log4j.ConsoleAppender
log4j.appender.stderr.target=System.err
log4j.appender.stderr.layout=org.apache.log4j.PatternLayout
log4j.appender.stderr.layout.ConversionPattern=%d %p %m%n%throwable
`
)

// kafkaProgram is a Kafka that can be run.
type kafkaProgram struct {
	java string
	jars string // the folder
}

// findKafka finds Java, and Kafka in our cache or by Maven.
func findKafka(ctx context.Context) (kafkaProgram, error) {
	java, err := findJava()
	if err != nil {
		return kafkaProgram{}, err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return kafkaProgram{}, fmt.Errorf("find cache folder: %w: set HOME", err)
	}
	jars, err := cachedKafka(ctx, filepath.Join(cache, "lectern", "kafka-"+kafkaVersion))
	if err != nil {
		return kafkaProgram{}, fmt.Errorf("%w: install Maven, which fetches Kafka", err)
	}
	return kafkaProgram{java: java, jars: jars}, nil
}

func findJava() (string, error) {
	if home := os.Getenv("JAVA_HOME"); home != "" {
		if java := filepath.Join(home, "bin", "java"); exists(java) {
			return java, nil
		}
	}
	java, err := exec.LookPath("java")
	if err != nil {
		return "", fmt.Errorf("find Java: %w: install a JDK 17 or later and Maven", err)
	}
	return java, nil
}

// cachedKafka returns the folder with the jars, and fetches them when they are
// not there yet. Processes that do so at once fetch once.
func cachedKafka(ctx context.Context, dir string) (string, error) {
	if exists(dir) {
		return dir, nil
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, fetchTimeout)
	defer cancel()
	unlock, err := lockFile(ctx, dir+".lock")
	if err != nil {
		return "", err
	}
	defer unlock()
	if exists(dir) {
		return dir, nil
	}
	return dir, fetchKafka(ctx, dir)
}

// fetchKafka leaves nothing under the final name but the whole.
func fetchKafka(ctx context.Context, dir string) (err error) {
	fresh, err := os.MkdirTemp(filepath.Dir(dir), "new-")
	if err != nil {
		return fmt.Errorf("make folder for the download: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(fresh)) }()
	maven, err := exec.LookPath("mvn")
	if err != nil {
		return fmt.Errorf("find Maven: %w", err)
	}
	if err := os.WriteFile(filepath.Join(fresh, "pom.xml"), kafkaPOM, 0o600); err != nil {
		return fmt.Errorf("write pom.xml: %w", err)
	}
	jars := filepath.Join(fresh, "jars")
	cmd := exec.CommandContext(ctx, maven, "--batch-mode", "--quiet", "--strict-checksums", mavenCopyAll,
		"-DincludeScope=runtime", "-DoutputDirectory="+jars)
	cmd.Dir = fresh
	cmd.WaitDelay = stopTimeout
	if said, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("fetch Kafka %s by Maven: %w; it said:\n%s", kafkaVersion, err, said)
	}
	if err := os.Rename(jars, dir); err != nil {
		return fmt.Errorf("install Kafka: %w", err)
	}
	return nil
}

// command runs one of Kafka's main classes. Servers of tests are small and
// short-lived: what makes a JVM fast after minutes costs them seconds.
func (k kafkaProgram) command(ctx context.Context, dir, class string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, k.java, append([]string{
		"-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Dlog4j.configuration=file:" + filepath.Join(dir, "log4j.properties"),
		"-cp", filepath.Join(k.jars, "*"), class,
	}, args...)...)
	cmd.Dir = dir
	cmd.WaitDelay = time.Second
	return cmd
}
