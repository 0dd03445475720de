using System.Runtime.CompilerServices;
using Microsoft.ML.OnnxRuntime;
using Zqfp.CudaOps;
using Zqfp.Tokenizers;
using SessionOptions = Microsoft.ML.OnnxRuntime.SessionOptions;

namespace WebPage;

/// <summary>The quantized model in memory, once for all requests.</summary>
internal sealed class StoryModel : IDisposable
{
    private const int LongestStory = 300;
    private const double Temperature = 0.7;

    private readonly PretrainedTokenizer _tokenizer = PretrainedTokenizer.Load(InOutput("tokenizer.json"));
    private readonly InferenceSession _session;

    public StoryModel()
    {
        using SessionOptions options = new SessionOptions().AddZqfpOperators();
        _session = new InferenceSession(InOutput("model.onnx"), options);
    }

    public void Dispose() => _session.Dispose();

    /// <summary>What follows the prompt, in pieces as they come.</summary>
    public async IAsyncEnumerable<string> Continue(string prompt, int seed, [EnumeratorCancellation] CancellationToken cancellation)
    {
        var random = new Random(seed);
        List<int> tokens = [.. _tokenizer.EncodeToIds(prompt)];
        int written = _tokenizer.Decode(tokens).Length;
        while (tokens.Count < LongestStory)
        {
            int next = await Task.Run(() => Sample(NextTokenLogits(tokens), random), cancellation);
            if (next == _tokenizer.EndOfSentenceId)
            {
                yield break;
            }

            tokens.Add(next);

            // A token may end within a character: wait for the one that completes it.
            string text = _tokenizer.Decode(tokens);
            if (!text.EndsWith('\uFFFD') && text.Length > written)
            {
                yield return text[written..];
                written = text.Length;
            }
        }
    }

    // The model has no key-value cache: each token reads the whole story again, which a model of this size does in milliseconds.
    private float[] NextTokenLogits(List<int> tokens)
    {
        long[] ids = [.. tokens.Select(token => (long)token)];
        using var run = new RunOptions();
        using var input = OrtValue.CreateTensorValueFromMemory(ids, [1, ids.Length]);
        using IDisposableReadOnlyCollection<OrtValue> outputs = _session.Run(run, ["input_ids"], [input], ["logits"]);
        ReadOnlySpan<float> logits = outputs[0].GetTensorDataAsSpan<float>();
        return logits[^(logits.Length / ids.Length)..].ToArray();
    }

    private static int Sample(float[] logits, Random random)
    {
        float largest = logits.Max();
        double[] weights = [.. logits.Select(logit => Math.Exp((logit - largest) / Temperature))];
        double threshold = random.NextDouble() * weights.Sum();
        int token = 0;
        for (double sum = weights[0]; sum < threshold && token < weights.Length - 1; sum += weights[token])
        {
            token++;
        }

        return token;
    }

    private static string InOutput(string name) => Path.Combine(AppContext.BaseDirectory, "model", name);
}
