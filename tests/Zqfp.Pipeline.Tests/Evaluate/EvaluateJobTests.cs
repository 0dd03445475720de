using System.Text.Json;
using Zqfp.Pipeline.Evaluate;
using Zqfp.Tests;

namespace Zqfp.Pipeline.Tests.Evaluate;

public sealed class EvaluateJobTests
{
    [Fact]
    public void Windows_do_not_depend_on_how_many_are_evaluated()
    {
        EvaluationResult few = SampleModel.Evaluate(SampleModel.Model, 3);
        EvaluationResult more = SampleModel.Evaluate(SampleModel.Model, 20);
        Assert.Equal(3 * 127, few.Predictions);
        Assert.Equal(121041, few.Tokens);
        for (int i = 0; i < 3; i++)
        {
            Assert.Equal(more.WindowLosses[i], few.WindowLosses[i], 5);
        }
    }

    [ReferenceFact("golden/perplexity.json")]
    public void The_float_perplexity_is_the_one_PyTorch_computes()
    {
        using JsonDocument golden = JsonDocument.Parse(File.ReadAllText(Repository.Reference("golden/perplexity.json")));
        double expected = golden.RootElement.GetProperty("tinystories-llama-3.7m").GetProperty("tinystories-evaluation.txt@512").GetProperty("ppl").GetDouble();
        EvaluationResult result = EvaluateJob.Run(
            new EvaluateOptions { ModelPath = SampleModel.Model, TextPath = SampleModel.Evaluation, TokenizerPath = SampleModel.Tokenizer },
            new SilentObserver(),
            CancellationToken.None);
        Assert.Equal(236, result.Windows);
        Assert.Equal(expected, result.Perplexity, 3);
    }
}
