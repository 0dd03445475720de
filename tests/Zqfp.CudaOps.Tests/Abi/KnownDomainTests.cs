using Microsoft.ML.OnnxRuntime;

namespace Zqfp.CudaOps.Tests;

public sealed class KnownDomainTests
{
    [Fact]
    public async Task The_first_sessions_of_a_domain_may_be_made_at_the_same_moment()
    {
        byte[] model = Onnx.Model(
            [Onnx.Node("", "Identity", ["x"], ["y"])], [Onnx.Value("x", Onnx.Float, 1)], [Onnx.Value("y", Onnx.Float, 1)], []);
        for (int round = 0; round < 100; round++)
        {
            string name = $"zqfp.first.{round}";
            using var ready = new Barrier(8);
            Task[] sessions = [.. Enumerable.Range(0, ready.ParticipantCount).Select(_ => Task.Factory.StartNew(
                () =>
                {
                    using SessionOptions options = TestSessions.Quiet(threads: 1)
                        .Add(new OperatorDomain(LoadedOnnxRuntime.Find().Api, [], name));
                    Assert.True(ready.SignalAndWait(TimeSpan.FromMinutes(1)));
                    using var session = new InferenceSession(model, options);
                },
                CancellationToken.None, TaskCreationOptions.LongRunning, TaskScheduler.Default))];
            await Task.WhenAll(sessions);
        }
    }
}
